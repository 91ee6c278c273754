# SPDX-License-Identifier: Apache-2.0
"""The health of a pair, and its reasons."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_colo.pair import health, reasons
from nova_colo.pair.arbitration import Observation
from nova_colo.pair.model import Health, Pair, Replica, Role, State


@pytest.mark.parametrize(
    ("state", "second", "level"),
    [
        (State.PROTECTED, Observation(True), Health.OK),
        (State.PROTECTED, Observation(False), Health.WARNING),
        (State.STARTING, Observation(False), Health.WARNING),
        (State.DEGRADED, Observation(False), Health.CRITICAL),
        (State.UNPROTECTED, Observation(False), Health.CRITICAL),
        (State.ERROR, Observation(False), Health.CRITICAL),
    ],
)
def test_health_comes_with_reasons_unless_it_is_ok(state, second, level):
    pair = Pair("s", state, 0, "a", "b", "a", "ACTIVE")
    actual, why = health.assess(pair, None, Observation(True), second)
    assert actual == level
    assert bool(why) == (level != Health.OK)


LATE, CUT = reasons.CHECKPOINT_LATE(seconds=4), reasons.LINK_DISCONNECTED(sockets=["out0"])


def long(ms):
    return reasons.PAUSES_LONG(ms=ms)


def protected(primary, secondary, before=()):
    """Assess a protected pair with the reports of these replicas; None is a silent agent."""
    pair = Pair("s", State.PROTECTED, 0, "a", "b", "a", "ACTIVE")
    return health.assess(
        pair, None, *(Observation(replica is not None, replica) for replica in (primary, secondary)), before
    )


def replica(*troubles, link_up=True, role=Role.PRIMARY):
    return Replica(role, 0, True, link_up, troubles)


def test_what_the_replicas_report_of_their_link_is_said_once_the_primarys_first():
    differ = reasons.MISMATCH_STORM(number=90)
    first, second = replica(long(240), LATE), replica(differ, long(250))
    assert protected(first, second) == (Health.WARNING, (long(240), LATE, differ))
    assert protected(replica(), replica()) == (Health.OK, ())


@pytest.mark.parametrize(
    "replicas", [(replica(CUT, link_up=False), replica()), (replica(), replica(CUT, link_up=False))]
)
def test_a_link_that_does_not_work_is_critical_whoever_reports_it(replicas):
    assert protected(*replicas) == (Health.CRITICAL, (CUT,))


def test_a_silent_agent_is_named_beside_what_the_other_reports():
    silent = reasons.AGENT_SILENT(host="a")
    assert protected(None, replica(CUT, link_up=False)) == (Health.CRITICAL, (silent, CUT))
    assert protected(None, replica()) == (Health.WARNING, (silent,))


def test_what_is_reported_of_a_pair_that_is_not_protected_is_left_to_the_reason_of_its_state():
    pair = Pair("s", State.STARTING, 0, "a", "b", "a", "ACTIVE")
    making = reasons.MAKING_SECONDARY()
    assert health.assess(pair, making, Observation(True, replica(LATE)), Observation(True)) == (
        Health.WARNING,
        (making,),
    )


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=50))
def test_a_figure_is_updated_only_when_it_has_doubled_or_halved(figures):
    stored, shown = (), 0
    for figure in figures:
        before = stored
        _, stored = protected(replica(long(figure)), replica(), stored)
        updated = not shown or figure >= 2 * shown or shown >= 2 * figure
        assert stored == ((long(figure),) if updated else before)
        shown = figure if updated else shown


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (CUT, reasons.LINK_DISCONNECTED(sockets=["out1"])),
        (long(200), LATE),
        (long(200), long(0)),
    ],
)
def test_another_reason_is_said_at_once_names_with_numbers_are_no_figures(before, after):
    assert protected(replica(after), replica(), (before,))[1] == (after,)
