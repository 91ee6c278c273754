# SPDX-License-Identifier: Apache-2.0
"""Health, and the reasons that come with it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_colo.pair import health, reasons
from nova_colo.pair.arbitration import Witness
from nova_colo.pair.model import Health, Pair, Role, Side, State


@pytest.mark.parametrize(
    ("state", "second", "level"),
    [
        (State.PROTECTED, Witness(True), Health.OK),
        (State.PROTECTED, Witness(False), Health.WARNING),
        (State.STARTING, Witness(False), Health.WARNING),
        (State.DEGRADED, Witness(False), Health.CRITICAL),
        (State.UNPROTECTED, Witness(False), Health.CRITICAL),
        (State.ERROR, Witness(False), Health.CRITICAL),
    ],
)
def test_health_comes_with_reasons_unless_it_is_ok(state, second, level):
    pair = Pair("s", state, 0, "a", "b", "a", "ACTIVE")
    found, why = health.assess(pair, None, Witness(True), second)
    assert found == level
    assert bool(why) == (level != Health.OK)


LATE, CUT = reasons.CHECKPOINT_LATE(seconds=4), reasons.LINK_DISCONNECTED(sockets=["out0"])


def long(ms):
    return reasons.PAUSES_LONG(ms=ms)


def protected(primary, secondary, before=()):
    """Assess a protected pair of which these sides, or silent agents (None), have reported."""
    pair = Pair("s", State.PROTECTED, 0, "a", "b", "a", "ACTIVE")
    return health.assess(pair, None, *(Witness(side is not None, side) for side in (primary, secondary)), before)


def side(*troubles, link_up=True, role=Role.PRIMARY):
    return Side(role, 0, True, link_up, troubles)


def test_what_the_sides_report_of_their_link_is_said_once_the_primarys_first():
    differ = reasons.MISMATCH_STORM(number=90)
    first, second = side(long(240), LATE), side(differ, long(250))
    assert protected(first, second) == (Health.WARNING, (long(240), LATE, differ))
    assert protected(side(), side()) == (Health.OK, ())


@pytest.mark.parametrize("sides", [(side(CUT, link_up=False), side()), (side(), side(CUT, link_up=False))])
def test_a_link_that_does_not_work_is_critical_whoever_reports_it(sides):
    assert protected(*sides) == (Health.CRITICAL, (CUT,))


def test_a_silent_agent_is_named_beside_what_the_other_reports():
    silent = reasons.AGENT_SILENT(host="a")
    assert protected(None, side(CUT, link_up=False)) == (Health.CRITICAL, (silent, CUT))
    assert protected(None, side()) == (Health.WARNING, (silent,))


def test_what_is_reported_of_a_pair_that_is_not_protected_is_left_to_the_reason_of_its_state():
    pair = Pair("s", State.STARTING, 0, "a", "b", "a", "ACTIVE")
    making = reasons.MAKING_SECONDARY()
    assert health.assess(pair, making, Witness(True, side(LATE)), Witness(True)) == (Health.WARNING, (making,))


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=50))
def test_a_figure_is_said_anew_only_when_it_has_doubled_or_halved(figures):
    said, shown = (), 0
    for figure in figures:
        before = said
        _, said = protected(side(long(figure)), side(), said)
        anew = not shown or figure >= 2 * shown or shown >= 2 * figure
        assert said == ((long(figure),) if anew else before)
        shown = figure if anew else shown


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (CUT, reasons.LINK_DISCONNECTED(sockets=["out1"])),
        (long(200), LATE),
        (long(200), long(0)),
    ],
)
def test_another_reason_is_said_at_once_names_with_numbers_are_no_figures(before, after):
    assert protected(side(after), side(), (before,))[1] == (after,)
