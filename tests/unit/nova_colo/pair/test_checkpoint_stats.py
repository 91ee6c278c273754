# SPDX-License-Identifier: Apache-2.0
"""Checkpoints are counted by cause, and over a window."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_colo.pair import checkpoint_stats
from nova_colo.pair.checkpoint_stats import Checkpoint, Totals
from nova_colo.pair.model import Cause

causes = st.sampled_from(Cause)
points = st.lists(st.builds(Checkpoint, st.floats(0, 1000), causes, st.floats(0.1, 500)), max_size=50)


@given(points)
def test_totals_add_up(taken):
    totals = Totals().plus(taken)
    assert totals.total == len(taken)
    assert totals.mismatch == sum(c.cause == Cause.MISMATCH for c in taken)


@given(points, st.floats(0, 1000))
def test_a_window_is_of_its_own_checkpoints_only(taken, now):
    inside = [c for c in taken if now - checkpoint_stats.WINDOW_S < c.at]
    figures = checkpoint_stats.window(taken, now, since=0.0)
    if not inside:
        assert figures.pause_mean_ms is None and figures.per_min == 0
        return
    pauses = [c.pause_ms for c in inside]
    assert figures.pause_max_ms == max(pauses)
    assert math.isclose(figures.pause_mean_ms, sum(pauses) / len(pauses))
    assert min(pauses) <= figures.pause_p99_ms <= max(pauses)


def test_the_rate_of_a_young_pair_is_not_diluted():
    taken = [Checkpoint(at, Cause.PERIODIC, 10) for at in (10.0, 20.0, 30.0)]
    assert checkpoint_stats.window(taken, now=60.0, since=0.0).per_min == pytest.approx(3.0)
