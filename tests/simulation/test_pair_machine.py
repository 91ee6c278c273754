# SPDX-License-Identifier: Apache-2.0
"""No sequence of failures and requests makes both replicas answer, or leaves a pair in disorder."""

import errno
import logging
import pathlib
import shutil
import tempfile
from unittest import mock

import oslo_messaging as messaging
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nova_colo.db import operations, pairs
from nova_colo.db.models import Operation
from nova_colo.engine.errors import ServiceError
from nova_colo.pair import actions
from nova_colo.pair.model import Health, State, Wanted
from nova_colo.pair.reasons import Severity
from tests.simulation.cloud import HOSTS, SERVER
from tests.simulation.world import World

hosts = st.sampled_from(HOSTS)
engines = st.integers(0, 1)

REQUESTS = [
    (name, {}) for name in actions.ACTIONS if name not in (actions.SET_MODE, actions.MIGRATE_SECONDARY)
]
REQUESTS += [(actions.FAILOVER, {"force": True}), (actions.TEST_FAILOVER, {"return": True})]
REQUESTS += [(actions.SET_MODE, {"mode": "checkpoint"}), (actions.MIGRATE_SECONDARY, {"host": None})]


class PairMachine(RuleBasedStateMachine):
    """All events that can happen to an FT server on three hosts with two engines, both of which act."""

    def __init__(self) -> None:
        super().__init__()
        logging.disable(logging.CRITICAL)
        memory = pathlib.Path("/dev/shm")
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        self.world = World(self.folder)

    # --- frequent beginnings of trouble

    @rule(request=st.sampled_from(REQUESTS), turns=st.integers(1, 25))
    def a_request_gets_so_far(self, request, turns):
        self.world.ask(*request)
        for engine in self.world.engines:
            if engine.active:
                engine.poll()
                for _ in range(turns):
                    if engine.threads():
                        engine.run(-1, 1)

    @rule(stalled=engines)
    def the_other_engine_takes_over(self, stalled):
        for _ in range(7):
            self.world.second(stalled=stalled)
            self.world.engines[1 - stalled].run_all(60)

    @initialize()
    def the_server_is_protected(self):
        for _ in range(5):
            self.some_seconds_pass_in_peace(1)
        assert self.world.row().state == State.PROTECTED

    # --- normal operation

    @rule(number=st.integers(1, 3))
    def some_seconds_pass_in_peace(self, number):
        for _ in range(number):
            self.world.second()
            for engine in self.world.engines:
                engine.refresh()
                engine.run_all(60)
            self.world.nova.work(True)
            self.world.observe()

    @rule(seconds=st.sampled_from([1, 2, 4]), stalled=st.none() | engines)
    def time_passes(self, seconds, stalled):
        for _ in range(seconds):
            self.world.second(stalled=stalled)

    @rule(seconds=st.sampled_from([11, 65, 400]))
    def all_sleep(self, seconds):
        self.world.clock.advance(seconds)

    @rule(engine=engines)
    def an_engine_reconciles(self, engine):
        self.world.engines[engine].poll()

    @rule(engine=engines)
    def an_engine_synchronizes_servers(self, engine):
        self.world.engines[engine].refresh()

    @rule(engine=engines)
    def an_engine_repairs_what_has_drifted(self, engine):
        self.world.engines[engine].repair()

    @rule(engine=engines, number=st.integers(0, 5), turns=st.integers(1, 12))
    def an_engine_continues(self, engine, number, turns):
        if self.world.engines[engine].threads():
            self.world.engines[engine].run(number, turns)

    @rule(engine=engines)
    def an_engine_does_all_it_can(self, engine):
        self.world.engines[engine].run_all(60)

    @rule(host=hosts)
    def a_host_sends_a_heartbeat(self, host):
        self.world.heartbeat(host)

    @rule(well=st.sampled_from([True, True, False]), late=st.sampled_from([False, False, False, True]))
    def nova_does_what_was_asked(self, well, late):
        self.world.nova.work(well, late)

    # --- failures

    @rule(engine=engines)
    def an_engine_is_killed(self, engine):
        self.world.kill_engine(engine)

    @rule(engine=engines, deaf=st.booleans())
    def an_engine_hears_nobody_or_all(self, engine, deaf):
        self.world.engines[engine].deaf = deaf

    @rule(host=hosts)
    def a_host_loses_power(self, host):
        self.world.power_cut(host)

    @rule(host=hosts)
    def a_host_has_power_again(self, host):
        self.world.power_on(host)

    @rule(host=hosts)
    def a_guest_ends(self, host):
        self.world.hosts[host].end_guest()

    @rule(host=hosts)
    def a_guest_powers_itself_off(self, host):
        self.world.hosts[host].power_off_guest()

    @rule(host=hosts, what=st.sampled_from(["", "QEMU", "libvirt"]))
    def a_host_answers_its_agent_or_not(self, host, what):
        self.world.hosts[host].backend.silent = what

    @rule(host=hosts)
    def a_secondarys_disk_fails(self, host):
        self.world.hosts[host].fail_disk()

    @rule(host=hosts, seconds=st.sampled_from([0.0, 5.0, 60.0]))
    def a_disk_is_slow(self, host, seconds):
        self.world.hosts[host].backend.commit_s = seconds

    @rule(host=hosts, up=st.booleans())
    def an_agent_stops_or_starts(self, host, up):
        self.world.hosts[host].agent_up = up

    @rule(host=hosts, cut=st.booleans())
    def a_link_is_cut_or_mended(self, host, cut):
        if self.world.hosts[host].powered:
            self.world.cut_link(host, cut)

    @rule(what=st.sampled_from(["request", "answer", "late", "before", "after"]))
    def the_next_call_of_an_agent_fails(self, what):
        self.world.lose_next(what)

    @precondition(lambda self: self.world.late)
    @rule()
    def an_agent_executes_a_late_request(self):
        self.world.deliver_late()

    @rule(host=hosts, full=st.booleans())
    def a_host_fills_up_or_has_capacity(self, host, full):
        (self.world.placement.full.add if full else self.world.placement.full.discard)(host)

    # --- requests of users

    @rule(request=st.sampled_from(REQUESTS))
    def a_user_asks_for(self, request):
        self.world.ask(*request)

    @rule(what=st.sampled_from(["ask_for_stop", "start", "ask_for_reboot"]))
    def a_user_asks_nova_to(self, what):
        if self.world.users_may_act():
            getattr(self.world.nova, what)()

    # --- invariants

    @invariant()
    def at_most_one_answers_clients(self):
        self.world.observe()

    def teardown(self):
        try:
            self.world.end_failures(lambda: _holds(ends_well, self.world))
            ends_well(self.world)
        finally:
            self.world.close()
            shutil.rmtree(self.folder)
            logging.disable(logging.NOTSET)


def _holds(assertion, *arguments):
    try:
        assertion(*arguments)
    except AssertionError:
        return False
    return True


def ends_well(world):
    """Assert that the pair is in the state that its users want, and that nothing is left over."""
    row, nova = world.row(), world.nova
    seen = (
        f"{row.state} ({row.state_reason}) on {row.primary_host} with {row.secondary_host}, "
        f"Nova: {nova.status} on {nova.host}"
    )
    assert (row.operation_id, nova.task) == (None, None), seen
    roles = {name: str(host.role().role) for name, host in world.hosts.items() if host.role()}
    guests = {name for name, host in world.hosts.items() if host.guest()}
    if nova.status == "SHUTOFF":
        assert row.state in (State.UNPROTECTED, State.SUSPENDED) and row.state_reason, seen
        assert (roles, guests) == ({}, set()), seen
    else:
        assert world.answering() == [row.primary_host], seen
        _is_as_wanted(row, seen)
        replicas = {row.primary_host, row.secondary_host} - {None}
        assert guests == replicas and set(roles) <= replicas, (roles, guests, seen)
    assert nova.host == row.nova_host == row.primary_host, seen
    held = {host for amounts in world.placement.held.values() for host in amounts}
    assert held == {row.secondary_host or row.reserved_host} - {None}, (held, seen)
    assert not any(host.disabled_reason or host.forced_down for host in world.hosts.values()), seen


def _is_as_wanted(row, seen):
    state = {
        Wanted.PROTECTED: State.PROTECTED,
        Wanted.SUSPENDED: State.SUSPENDED,
        Wanted.UNPROTECTED: State.UNPROTECTED,
    }
    assert row.state == state[row.wanted], seen
    assert (row.secondary_host is not None) == (row.wanted == Wanted.PROTECTED), seen


PairMachine.TestCase.settings = settings(
    max_examples=settings.default.max_examples // 8,  # each takes half a second
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    # no Phase.shrink, since to minimize a failing example takes minutes: add it when one fails
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
TestPairMachine = pytest.mark.timeout(300)(PairMachine.TestCase)


def _other_engine_fails(machine):
    """Make the other engine take over, fail to promote the secondary, and return the grant."""
    machine.world.lose_next("request", "promote")
    machine.the_other_engine_takes_over(0)


def _nova_restarts_the_guest(machine):
    machine.world.nova.ask_for_reboot()
    machine.world.nova.work(True)


MEANWHILE = {
    "the other engine takes over": lambda machine: machine.the_other_engine_takes_over(0),
    "the other engine takes over and fails": _other_engine_fails,
    "Nova restarts the guest": _nova_restarts_the_guest,
    "the primary's host loses power": lambda machine: machine.world.power_cut("a"),
}


def each_turn(turns, things):
    """Yield each turn of an engine with each thing.

    Outside the long tests only every second turn is combined, with one thing each, in rotation.
    """
    for number, thing in enumerate(things):
        for turn in turns:
            marks = () if turn % (2 * len(things)) == 2 * number else pytest.mark.long
            yield pytest.param(turn, thing, marks=marks, id=f"{turn}-{thing}")


@pytest.mark.parametrize(("turns", "meanwhile"), each_turn(range(3, 16), MEANWHILE))
def test_an_engine_that_stalls_anywhere_in_a_failover_does_no_harm(turns, meanwhile):
    """The engine stalls before each transaction and request in turn, and continues after another event."""
    machine = PairMachine()
    try:
        _stall(machine, turns)
        MEANWHILE[meanwhile](machine)
        machine.world.engines[0].run_all(60)
    finally:
        machine.teardown()


def _stall(machine, turns):
    """Advance the first engine by a number of turns in a requested failover."""
    machine.the_server_is_protected()
    first = machine.world.engines[0]
    assert first.active
    machine.world.ask(actions.FAILOVER, {})
    first.poll()
    while not first.runs_workflow:
        first.run(0, 1)
    for _ in range(turns):
        first.run(-1, 1)


WORKFLOWS = {actions.FAILOVER: {}, actions.MIGRATE_SECONDARY: {"host": None}, actions.UNPROTECT: {}}


@pytest.mark.parametrize(("turns", "action"), each_turn(range(16), WORKFLOWS))
def test_no_operation_goes_on_for_a_server_that_was_deleted(turns, action):
    """The pair is deleted before each transaction and each request of a workflow in turn."""
    machine = PairMachine()
    world = machine.world
    try:
        machine.the_server_is_protected()
        first = world.engines[0]
        world.ask(action, WORKFLOWS[action])
        first.poll()
        for _ in range(turns):
            if first.threads():
                first.run(-1, 1)
        with world.database.writer() as session:
            pairs.remove(session, SERVER)
        for _ in range(10):
            world.second()
            first.run_all(60)
            world.nova.work(True)
        with world.database.reader() as session:
            assert [(row.kind, row.step) for row in operations.running(session)] == []
    finally:
        world.close()
        shutil.rmtree(machine.folder)


def test_nova_acts_on_a_server_only_when_its_disk_is_complete():
    """Nova's model refuses to move a server before."""
    machine = PairMachine()
    try:
        machine.the_server_is_protected()
        world = machine.world
        world.hosts["b"].backend.commit_s = 3.5
        world.ask(actions.FAILOVER, {})
        for _ in range(3):
            machine.some_seconds_pass_in_peace(1)
        assert (world.row().primary_host, world.nova.host) == ("b", "a"), "its clients need not wait"
        for _ in range(8):
            machine.some_seconds_pass_in_peace(1)
        assert (world.row().state, world.nova.host) == (State.PROTECTED, "b")
    finally:
        machine.teardown()


def _until(machine, condition, seconds=30):
    """Let time pass in peace until a condition holds."""
    for _ in range(seconds):
        if condition():
            return
        machine.some_seconds_pass_in_peace(1)
    raise AssertionError(f"{machine.world.row().state_reason}, answering: {machine.world.answering()}")


def _cut_off(world, name):
    world.cut_link(name, True)
    world.hosts[name].agent_up = False


def _return(world, name):
    world.power_on(name)
    world.cut_link(name, False)
    world.hosts[name].agent_up = True


@pytest.mark.parametrize("seconds", [0, 20], ids=["as the host dies", "long before"])
def test_an_engine_that_hears_nobody_keeps_no_other_from_failing_over(seconds):
    """Its connection to the broker is broken, that to the database is not."""
    machine = PairMachine()
    world = machine.world
    try:
        machine.the_server_is_protected()
        (active,) = [engine for engine in world.engines if engine.active]
        active.deaf = True
        for _ in range(seconds):
            machine.some_seconds_pass_in_peace(1)
        world.power_cut("a")
        _until(machine, lambda: world.answering() == ["b"], seconds=12)
        assert [engine for engine in world.engines if engine.active] != [active]
        active.deaf = False
        other = next(engine for engine in world.engines if engine is not active)
        for _ in range(20):
            machine.some_seconds_pass_in_peace(1)
            assert other.active and not active.active, "the lease changes hands needlessly"
    finally:
        machine.teardown()


@pytest.mark.parametrize("meanwhile", ["nothing", "records", "a new secondary"])
@pytest.mark.parametrize(
    "lose", [_cut_off, lambda world, name: world.power_cut(name)], ids=["cut off", "dead"]
)
def test_a_database_that_has_lost_a_failover_learns_of_it_from_the_hosts(lose, meanwhile):
    """The database is a replica that was behind, or a copy that was restored."""
    machine = PairMachine()
    world = machine.world
    try:
        machine.the_server_is_protected()
        before = world.copy_database()
        lose(world, "a")
        _until(machine, lambda: world.row().epoch == 1 and world.answering() == ["b"])
        if meanwhile == "records":
            _until(machine, lambda: world.nova.host == "b")
        elif meanwhile == "a new secondary":
            _until(machine, lambda: world.row().state == State.PROTECTED)
        world.forget(before)
        assert (world.row().epoch, world.row().primary_host) == (0, "a")
        _return(world, "a")
        for host in world.hosts.values():
            host.forced_down = False  # what the database knew of this is lost, too: see the operator's guide
        _until(machine, lambda: world.row().state == State.PROTECTED and world.row().epoch > 0)
        assert (world.row().primary_host, world.nova.host, world.answering()) == ("b", "b", ["b"])
        assert world.row().epoch == 1, "its clients had to wait again"
        assert "grant_restored" in [event.reason.code for event in world.events()]
    finally:
        machine.teardown()


def test_a_host_that_was_away_keeps_no_pair_of_a_restored_server_from_failing_over():
    """The server was deleted and restored meanwhile: its pair begins anew, later than the last one."""
    machine = PairMachine()
    world = machine.world
    try:
        machine.the_server_is_protected()
        world.ask(actions.FAILOVER, {})
        _until(machine, lambda: (world.row().epoch, world.row().state) == (1, State.PROTECTED))
        _cut_off(world, world.row().secondary_host)
        away = world.row().secondary_host
        _until(machine, lambda: world.row().epoch == 2 and world.row().state == State.PROTECTED)
        here = world.row().primary_host
        world.nova.status = "SOFT_DELETED"
        _until(machine, lambda: world.row() is None)
        world.nova.status = "ACTIVE"
        _until(machine, lambda: world.row() is not None and world.row().state == State.PROTECTED)
        assert world.row().epoch > 2
        _return(world, away)
        for _ in range(5):
            machine.some_seconds_pass_in_peace(1)
        assert (world.row().primary_host, world.answering()) == (here, [here])
        assert world.hosts[away].role() is None, "it is left"
        world.power_cut(here)
        _until(machine, lambda: world.answering() not in ([], [here]))
        _return(world, here)
        _until(machine, lambda: world.row().state == State.PROTECTED)
    finally:
        machine.teardown()


def test_a_database_that_has_lost_the_end_of_a_pair_learns_of_it_from_the_hosts():
    machine = PairMachine()
    world = machine.world
    try:
        machine.the_server_is_protected()
        before = world.copy_database()
        _cut_off(world, "b")
        _until(machine, lambda: world.row().epoch == 1 and world.answering() == ["a"])
        world.forget(before)
        _return(world, "b")
        _until(machine, lambda: world.row().state == State.PROTECTED and world.row().epoch == 1)
        assert world.answering() == ["a"]
    finally:
        machine.teardown()


def test_nothing_is_done_while_it_is_not_certain_which_grant_is_the_newest():
    """Two grants are lost, and the secondary of the pair before them returns."""
    machine = PairMachine()
    world = machine.world
    try:
        machine.the_server_is_protected()
        before = world.copy_database()
        _cut_off(world, "b")
        _until(machine, lambda: (world.row().state, world.row().secondary_host) == (State.PROTECTED, "c"))
        world.power_cut("a")
        _until(machine, lambda: world.row().epoch == 2 and world.answering() == ["c"])
        world.forget(before)
        _return(world, "b")
        for _ in range(10):
            machine.some_seconds_pass_in_peace(1)
            assert (world.row().epoch, world.answering()) == (0, ["c"])
        assert (world.row().health, world.row().health_reasons[0].code) == (Health.CRITICAL, "grant_lost")
        assert [event.reason.code for event in world.events()].count("grant_lost") == 1
        world.ask(actions.FAILOVER, {})
        for _ in range(5):
            machine.some_seconds_pass_in_peace(1)
        assert (world.row().epoch, world.answering()) == (0, ["c"])
        world.hosts["b"].end_guest()  # an operator has decided
        _until(machine, lambda: (world.row().epoch, world.row().primary_host) == (2, "c"))
        _until(machine, lambda: world.row().state == State.PROTECTED)
        assert world.answering() == ["c"]
    finally:
        machine.teardown()


def test_a_primary_that_dies_as_soon_as_it_is_protected_is_replaced():
    """The last report of its agent is from before that: it says nothing about the secondary."""
    machine = PairMachine()
    world = machine.world
    try:
        machine.the_server_is_protected()
        _cut_off(world, "b")
        _until(machine, lambda: (world.row().state, world.row().secondary_host) == (State.PROTECTED, "c"))
        world.power_cut("a")
        _until(machine, lambda: world.answering() == ["c"])
    finally:
        machine.teardown()


@pytest.mark.parametrize("order", ["a", "ab", "ba", "b a"])
def test_a_guest_that_powers_itself_off_stays_off_until_it_is_started(order):
    """Both replicas do the same, one of them first; a blank is a second."""
    machine = PairMachine()
    world = machine.world
    try:
        machine.the_server_is_protected()
        for name in order:
            if name == " ":
                machine.some_seconds_pass_in_peace(1)
            else:
                world.hosts[name].power_off_guest()
                world.heartbeat(name)
                world.engines[0].poll()
                world.engines[0].run_all(60)
        for _ in range(10):
            machine.some_seconds_pass_in_peace(1)
            assert world.answering() == []
        assert (world.nova.status, world.row().failovers, world.row().state) == ("SHUTOFF", 0, "unprotected")
        world.nova.start()
        _until(machine, lambda: world.row().state == State.PROTECTED)
        assert world.answering() == ["a"]
    finally:
        machine.teardown()


def test_an_unprotected_guest_that_powers_itself_off_stays_off_until_it_is_started():
    machine = PairMachine()
    world = machine.world
    try:
        machine.the_server_is_protected()
        _cut_off(world, "b")
        world.hosts["c"].agent_up = False  # there is no host for another secondary
        _until(machine, lambda: world.answering() == ["a"] and world.row().secondary_host is None)
        world.hosts["a"].power_off_guest()
        for _ in range(10):
            machine.some_seconds_pass_in_peace(1)
            assert world.answering() == []
        assert (world.nova.status, world.row().failovers, world.row().state) == ("SHUTOFF", 0, "unprotected")
        _return(world, "b")
        _return(world, "c")
        world.nova.start()
        _until(machine, lambda: world.row().state == State.PROTECTED)
        assert world.answering() == ["a"]
    finally:
        machine.teardown()


def test_an_engine_that_stalls_destroys_no_replica_that_another_has_made_since():
    """It stalls after the secondary was given up, before it is destroyed."""
    machine = PairMachine()
    world = machine.world
    try:
        machine.the_server_is_protected()
        first = world.engines[0]
        world.hosts["b"].end_guest()
        while not first.runs_workflow:
            world.second()
            first.run(0, 5)
        released = world.placement.release
        with mock.patch.object(world.placement, "release", side_effect=released) as release:
            while not release.called:
                first.run(-1, 1)
        held = first.take_workflow_threads()
        for _ in range(30):
            machine.the_other_engine_takes_over(0)
            world.nova.work(True)
            if (world.row().state, world.row().secondary_host) == (State.PROTECTED, "b"):
                break
        world.ask(actions.FAILOVER, {})
        for _ in range(5):
            machine.the_other_engine_takes_over(0)
            world.nova.work(True)
        assert world.answering() == ["b"]
        first.return_threads(held)
        first.run_all(60)
        assert world.answering() == ["b"]
    finally:
        machine.teardown()


def test_what_an_agent_cannot_do_is_tried_more_and_more_rarely_by_the_same_grant():
    machine = PairMachine()
    world = machine.world
    try:
        machine.the_server_is_protected()
        with mock.patch.object(world.hosts["a"].roles, "put", side_effect=OSError(errno.ENOSPC, "full")):
            world.hosts["b"].end_guest()
            machine.some_seconds_pass_in_peace(120)
            row = world.row()
            assert (row.state, row.health, row.epoch) == (State.ERROR, Health.CRITICAL, 1)
            with world.database.reader() as session:
                attempts = session.scalars(sa.select(Operation).where(Operation.kind == "run_alone")).all()
            assert 5 <= len(attempts) <= 20, "at once, then every ten seconds"
            assert len(world.events()) <= 3, "each failure is told once"
        _until(machine, lambda: world.row().state == State.PROTECTED)
        assert (world.row().epoch, world.answering()) == (1, ["a"])
    finally:
        machine.teardown()


def test_a_primary_runs_on_while_placement_is_away():
    machine = PairMachine()
    world = machine.world
    try:
        machine.the_server_is_protected()
        away = mock.Mock(side_effect=ServiceError("Placement", 0, "away"))
        with mock.patch.object(world.placement, "release", away):
            world.power_cut("b")
            _until(machine, lambda: world.answering() == ["a"], seconds=6)
            with world.database.reader() as session:
                kinds = [(row.kind, row.status) for row in session.scalars(sa.select(Operation))]
            assert ("run_alone", "done") in kinds
    finally:
        machine.teardown()


@pytest.mark.parametrize(
    ("what", "silent"),
    [("libvirt", ("a",)), ("libvirt", ("b",)), ("libvirt", ("a", "b")), ("QEMU", ("a", "b"))],
)
def test_nothing_is_lost_while_replicas_do_not_answer(silent, what):
    """As while libvirtd is restarted, or storage that both hosts share hangs."""
    machine = PairMachine()
    world = machine.world
    try:
        machine.the_server_is_protected()
        for name in silent:
            world.hosts[name].backend.silent = what
        machine.some_seconds_pass_in_peace(60)
        row = world.row()
        assert (row.state, row.health, row.epoch) == (State.PROTECTED, Health.WARNING, 0)
        assert {reason.params["host"] for reason in row.health_reasons} == set(silent)
        for name in silent:
            world.hosts[name].backend.silent = ""
        machine.some_seconds_pass_in_peace(5)
        row = world.row()
        assert (row.state, row.health, row.epoch) == (State.PROTECTED, Health.OK, 0)
    finally:
        machine.teardown()


@pytest.mark.parametrize("what", ["QEMU", "libvirt"])
def test_a_guest_without_secondary_that_does_not_answer_is_not_restarted(what):
    machine = PairMachine()
    world = machine.world
    try:
        machine.the_server_is_protected()
        world.placement.full.add("c")
        world.power_cut("b")
        _until(machine, lambda: world.row().epoch == 1)
        world.hosts["a"].backend.silent = what
        machine.some_seconds_pass_in_peace(60)
        assert (world.row().state, world.answering()) == (State.DEGRADED, ["a"])
        assert "restarted" not in [event.reason.code for event in world.events()]
    finally:
        machine.teardown()


def test_no_failover_goes_to_a_secondary_that_does_not_answer():
    machine = PairMachine()
    world = machine.world
    try:
        machine.the_server_is_protected()
        world.hosts["b"].backend.silent = "libvirt"
        world.ask(actions.FAILOVER, {})
        machine.some_seconds_pass_in_peace(20)
        row = world.row()
        assert (row.state, row.epoch, world.answering()) == (State.PROTECTED, 0, ["a"])
        assert "does not answer" in str(row.state_reason)
    finally:
        machine.teardown()


def test_a_planned_failover_goes_to_a_host_with_an_agent_of_an_earlier_release():
    machine = PairMachine()
    world = machine.world
    try:
        machine.the_server_is_protected()
        manager = world.hosts["b"].manager
        with mock.patch.object(manager, "live_status", side_effect=messaging.NoSuchMethod("live_status")):
            world.ask(actions.FAILOVER, {})
            _until(machine, lambda: world.answering() == ["b"])
    finally:
        machine.teardown()


def test_a_secondary_that_does_not_answer_is_given_up_so_that_clients_need_not_wait():
    machine = PairMachine()
    world = machine.world
    try:
        machine.the_server_is_protected()
        world.hosts["b"].backend.silent = "QEMU"
        _until(machine, lambda: world.row().epoch == 1 and world.answering() == ["a"])
        assert "secondary_silent" in str([event.reason.data() for event in world.events()])
    finally:
        machine.teardown()


@pytest.mark.parametrize("left", ["", "QEMU"])
def test_a_server_whose_last_replica_ends_before_it_is_promoted_is_restarted(left):
    """Nobody would be promoted, and the primary has no grant.

    :param left: what does not answer on the former primary's host for a minute; else its guest has ended
    """
    machine = PairMachine()
    world = machine.world
    try:
        machine.the_server_is_protected()
        world.lose_next("request", "promote")
        if not left:
            world.hosts["a"].end_guest()
        else:
            world.hosts["a"].backend.silent = "QEMU"
        _until(machine, lambda: world.row().epoch == 1 and not world.engines[0].runs_workflow)
        world.hosts["b"].end_guest()
        machine.some_seconds_pass_in_peace(60)
        world.hosts["a"].backend.silent = ""
        _until(machine, lambda: world.answering() == ["a"], seconds=200)
    finally:
        machine.teardown()


@pytest.mark.parametrize("lost", ["request", "answer"])
def test_the_only_replica_left_is_promoted_by_a_later_attempt(lost):
    machine = PairMachine()
    world = machine.world
    try:
        machine.the_server_is_protected()
        world.lose_next(lost, "promote")
        world.hosts["a"].end_guest()
        _until(machine, lambda: world.answering() == ["b"])
        assert "restarted" not in [event.reason.code for event in world.events()]
    finally:
        machine.teardown()


def test_libvirt_that_goes_away_after_the_grant_costs_no_guest():
    """It answers when the grant is given, and does not when the secondary is to be promoted."""
    machine = PairMachine()
    world = machine.world
    try:
        machine.the_server_is_protected()
        backend = world.hosts["b"].backend

        def pause(server_id):
            backend.silent = "libvirt"
            return type(backend).pause(world.hosts["a"].backend, server_id)

        with mock.patch.object(world.hosts["a"].backend, "pause", pause):
            world.ask(actions.FAILOVER, {})
            _until(machine, lambda: backend.silent)
        machine.some_seconds_pass_in_peace(20)
        backend.silent = ""
        _until(machine, lambda: len(world.answering()) == 1)
        assert "restarted" not in [event.reason.code for event in world.events()]
    finally:
        machine.teardown()


def test_a_primary_that_does_not_answer_is_replaced():
    machine = PairMachine()
    world = machine.world
    try:
        machine.the_server_is_protected()
        world.hosts["a"].backend.silent = "QEMU"
        _until(machine, lambda: world.answering() == ["b"])
        assert "primary_silent" in str([event.reason.data() for event in world.events()])
    finally:
        machine.teardown()


@pytest.mark.parametrize("primary", ["stays", "is lost", "ends"])
def test_a_secondary_that_has_missed_a_write_is_never_promoted(primary):
    machine = PairMachine()
    try:
        machine.the_server_is_protected()
        world = machine.world
        world.hosts["b"].fail_disk()
        match primary:
            case "is lost":
                world.power_cut("a")
                world.hosts["b"].agent_up = False  # otherwise the engine has granted the primary before
                for _ in range(5):
                    machine.some_seconds_pass_in_peace(1)
                world.hosts["b"].agent_up = True
            case "ends":
                world.hosts["a"].end_guest()
        for _ in range(8):
            machine.some_seconds_pass_in_peace(1)
        assert world.row().failovers == 0
        codes = {
            event.reason.params["reason"].code for event in world.events() if "reason" in event.reason.params
        }
        expected = {"stays": "secondary_missed_write", "is lost": "lost_and_missed_write"}
        assert expected.get(primary, "ended_and_missed_write") in codes
    finally:
        machine.teardown()


def test_what_waits_for_a_thread_keeps_no_pair_from_failing_over():
    machine = PairMachine()
    try:
        machine.the_server_is_protected()
        first = machine.world.engines[0]
        assert first.active
        machine.world.ask(actions.MIGRATE_SECONDARY, {"host": None})
        first.poll()
        while not first.runs_workflow:
            first.run(0, 1)
        held = first.take_workflow_threads()
        machine.world.power_cut("a")
        for _ in range(8):
            machine.some_seconds_pass_in_peace(1)
        row = machine.world.row()
        assert (row.primary_host, row.epoch, row.failovers) == ("b", 1, 1), row.state_reason
        assert "request_cancelled" in [event.reason.code for event in machine.world.events()]
        first.return_threads(held)
        first.run_all(60)
        assert "moved" not in [event.reason.code for event in machine.world.events()]
    finally:
        machine.teardown()


@pytest.mark.parametrize("seen", [True, False], ids=["seen by the workflow", "seen later"])
def test_a_server_is_active_again_whose_move_has_failed_at_its_end(seen):
    machine = PairMachine()
    try:
        machine.the_server_is_protected()
        world, engine = machine.world, machine.world.engines[0]
        world.ask(actions.FAILOVER, {})
        for _ in range(40):
            engine.poll()
            engine.run_all(3)
            if world.nova.task is not None:
                break
        if not seen:  # the workflow fails before Nova has moved anything
            world.nova.failed.add(world.nova.task[2])
            engine.run_all(60)
        world.nova.work(True, late=True)
        assert (world.nova.host, world.nova.status) == ("b", "ERROR")
        for _ in range(20):  # a failed workflow is retried after ten seconds
            machine.some_seconds_pass_in_peace(1)
        ends_well(world)
        assert (world.nova.host, world.nova.status) == ("b", "ACTIVE")
    finally:
        machine.teardown()


@pytest.mark.parametrize("number", range(10))
def test_a_failover_goes_on_when_the_database_undoes_one_of_its_transactions(number):
    """MariaDB rolls back one of two transactions in a deadlock, Galera one of two from different nodes."""
    machine = PairMachine()
    try:
        machine.the_server_is_protected()
        machine.world.ask(actions.FAILOVER, {})
        for engine in machine.world.engines:
            engine.context.database.rollback_after = number
        for _ in range(5):
            machine.some_seconds_pass_in_peace(1)
        row = machine.world.row()
        assert (row.state, row.primary_host, row.epoch, row.failovers) == (State.PROTECTED, "b", 1, 1), (
            row.state_reason
        )
        assert [event.reason.code for event in machine.world.events() if event.level == Severity.ERROR] == []
        assert machine.world.engines[0].context.database.rollback_after is None
    finally:
        machine.teardown()
