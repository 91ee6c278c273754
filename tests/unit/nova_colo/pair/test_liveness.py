# SPDX-License-Identifier: Apache-2.0
"""A host is silent when its heartbeats are absent, but not while the engine itself was stalled."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_colo.pair.liveness import Watch

INTERVAL, MISSED = 1.0, 3


def test_a_host_is_silent_after_three_missed_heartbeats():
    watch = Watch(INTERVAL, MISSED)
    watch.record_heartbeat("a", 100.0)
    assert watch.alive("a", 103.0)
    assert not watch.alive("a", 103.1)
    assert not watch.alive("never heard", 100.0)


@given(stall=st.floats(2.5, 3600))
def test_a_watcher_that_was_stalled_itself_does_not_blame_the_hosts(stall):
    watch = Watch(INTERVAL, MISSED)
    watch.tick(100.0)
    watch.record_heartbeat("a", 100.0)
    watch.record_heartbeat("dead", 98.0)
    now = 100.0 + stall
    watch.tick(now)
    assert watch.alive("a", now)
    watch.tick(now + 1)
    watch.tick(now + 2)
    assert not watch.alive("dead", now + 2)


def test_a_watch_tells_when_a_host_becomes_silent_and_how_soon_one_may():
    watch = Watch(INTERVAL, MISSED)
    assert watch.due(100.0) == math.inf
    watch.record_heartbeat("a", 100.0)
    watch.record_heartbeat("b", 101.0)
    assert watch.due(101.0) == pytest.approx(2.0)
    assert not watch.tick(101.0)  # the first heartbeat of a host requires no action
    assert not watch.tick(102.0)
    assert watch.tick(103.1)
    assert not watch.tick(103.2)
    assert watch.due(103.2) == pytest.approx(0.8)
    watch.record_heartbeat("a", 103.5)
    assert not watch.tick(103.5)
