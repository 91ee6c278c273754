# SPDX-License-Identifier: Apache-2.0
"""Liveness, checkpoint accounting, placement and health."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_colo.pair import checkpoints, health, model, placement, reasons
from nova_colo.pair.arbitration import Witness
from nova_colo.pair.checkpoints import Checkpoint, Totals
from nova_colo.pair.liveness import Watch
from nova_colo.pair.model import Cause, FtStatus, Health, Pair, Role, Side, State

INTERVAL, MISSED = 1.0, 3


def test_a_host_is_silent_after_three_missed_heartbeats():
    watch = Watch(INTERVAL, MISSED)
    watch.heard("a", 100.0)
    assert watch.alive("a", 103.0)
    assert not watch.alive("a", 103.1)
    assert not watch.alive("never heard", 100.0)


@given(stall=st.floats(2.5, 3600))
def test_a_watcher_that_was_stalled_itself_does_not_blame_the_hosts(stall):
    watch = Watch(INTERVAL, MISSED)
    watch.tick(100.0)
    watch.heard("a", 100.0)
    watch.heard("dead", 98.0)
    now = 100.0 + stall
    watch.tick(now)
    assert watch.alive("a", now)
    watch.tick(now + 1)
    watch.tick(now + 2)
    assert not watch.alive("dead", now + 2)


def test_a_watch_tells_when_a_host_becomes_silent_and_how_soon_one_may():
    watch = Watch(INTERVAL, MISSED)
    assert watch.due(100.0) == math.inf
    watch.heard("a", 100.0)
    watch.heard("b", 101.0)
    assert watch.due(101.0) == pytest.approx(2.0)
    assert not watch.tick(101.0)  # that one is heard for the first time is nothing to act upon
    assert not watch.tick(102.0)
    assert watch.tick(103.1)
    assert not watch.tick(103.2)
    assert watch.due(103.2) == pytest.approx(0.8)
    watch.heard("a", 103.5)
    assert not watch.tick(103.5)


causes = st.sampled_from(Cause)
points = st.lists(st.builds(Checkpoint, st.floats(0, 1000), causes, st.floats(0.1, 500)), max_size=50)


@given(points)
def test_totals_add_up(taken):
    totals = Totals().plus(taken)
    assert totals.total == len(taken)
    assert totals.mismatch == sum(c.cause == Cause.MISMATCH for c in taken)


@given(points, st.floats(0, 1000))
def test_a_window_is_of_its_own_checkpoints_only(taken, now):
    inside = [c for c in taken if now - checkpoints.WINDOW_S < c.at]
    figures = checkpoints.window(taken, now, since=0.0)
    if not inside:
        assert figures.pause_mean_ms is None and figures.per_min == 0
        return
    pauses = [c.pause_ms for c in inside]
    assert figures.pause_max_ms == max(pauses)
    assert math.isclose(figures.pause_mean_ms, sum(pauses) / len(pauses))
    assert min(pauses) <= figures.pause_p99_ms <= max(pauses)


def test_the_rate_of_a_young_pair_is_not_diluted():
    taken = [Checkpoint(at, Cause.PERIODIC, 10) for at in (10.0, 20.0, 30.0)]
    assert checkpoints.window(taken, now=60.0, since=0.0).per_min == pytest.approx(3.0)


names = st.sampled_from(["a", "b", "c", "d"])


@given(st.sets(names), names, st.sets(names), st.dictionaries(names, st.integers(0, 9)), st.none() | names)
def test_a_secondary_goes_to_a_live_host_with_room_and_never_to_its_primarys(room, primary, alive, loads, preferred):
    ranked = placement.rank_hosts(room, primary, alive, loads, preferred)
    assert set(ranked) == (room & alive) - {primary}
    if preferred in ranked:
        assert ranked[0] == preferred


def test_a_secondary_needs_its_ram_twice_and_no_empty_amounts():
    amounts = placement.secondary_resources(placement.Size(vcpus=2, memory_mb=1024, disk_gb=0))
    assert amounts == {"VCPU": 2, "MEMORY_MB": 2048}


def test_no_host_says_what_is_missing():
    size = placement.Size(1, 2048, 1)
    assert "4096 MB" in str(placement.no_host_reason(size, ["a"], "a"))
    assert "nova-colo-agent" in str(placement.no_host_reason(size, ["a", "b"], "a"))


@pytest.mark.parametrize(
    ("state", "twin", "word"),
    [
        (State.PROTECTED, True, FtStatus.PRIMARY),
        (State.FAILING_OVER, True, FtStatus.PRIMARY),
        (State.FAILING_OVER, False, FtStatus.MISSING_SECONDARY),
        (State.DEGRADED, False, FtStatus.MISSING_SECONDARY),
        (State.ERROR, True, FtStatus.MISSING_SECONDARY),
    ],
)
def test_orbits_word_for_a_state(state, twin, word):
    assert model.ft_status(state, twin) == word


def test_a_twins_id_is_stable_and_its_own():
    server = "1f0f0c3e-0000-4000-8000-000000000001"
    assert model.twin_id(server) == model.twin_id(server) != server


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
