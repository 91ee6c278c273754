# SPDX-License-Identifier: Apache-2.0
"""Single sequences of failures and requests: what happens to the server, and what its users are told."""

import errno
import shutil
from unittest import mock

import oslo_messaging as messaging
import pytest
import sqlalchemy as sa

from nova_colo.agent.replication import UnverifiedError
from nova_colo.db import operations, pairs
from nova_colo.db.models import Operation
from nova_colo.engine.errors import ServiceError
from nova_colo.pair import actions, reasons
from nova_colo.pair.model import Health, State
from nova_colo.pair.reasons import Severity
from tests.simulation.cloud import SERVER
from tests.simulation.machine import PairMachine, ends_well


@pytest.fixture
def machine():
    """Yield a machine whose server is protected. At the end all failures end, and the pair must recover."""
    machine = PairMachine()
    try:
        machine.the_server_is_protected()
        yield machine
    finally:
        machine.teardown()


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
def test_an_engine_that_stalls_anywhere_in_a_failover_does_no_harm(machine, turns, meanwhile):
    """The engine stalls before each transaction and request in turn, and continues after another event."""
    _stall(machine, turns)
    MEANWHILE[meanwhile](machine)
    machine.world.engines[0].run_all(60)


def _stall(machine, turns):
    """Advance the first engine by a number of turns in a requested failover."""
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


def test_nova_acts_on_a_server_only_when_its_disk_is_complete(machine):
    """Nova's model refuses to move a server before."""
    world = machine.world
    world.hosts["b"].backend.commit_s = 3.5
    world.ask(actions.FAILOVER, {})
    for _ in range(3):
        machine.some_seconds_pass_in_peace(1)
    assert (world.row().primary_host, world.nova.host) == ("b", "a"), "its clients need not wait"
    for _ in range(8):
        machine.some_seconds_pass_in_peace(1)
    assert (world.row().state, world.nova.host) == (State.PROTECTED, "b")


def _until(machine, condition, seconds=30):
    """Advance the clock without failures until a condition holds."""
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
def test_an_engine_that_hears_nobody_keeps_no_other_from_failing_over(machine, seconds):
    """Its connection to the broker is broken, that to the database is not."""
    world = machine.world
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


@pytest.mark.parametrize("meanwhile", ["nothing", "records", "a new secondary"])
@pytest.mark.parametrize(
    "lose", [_cut_off, lambda world, name: world.power_cut(name)], ids=["cut off", "dead"]
)
def test_a_database_that_has_lost_a_failover_learns_of_it_from_the_hosts(machine, lose, meanwhile):
    """The database is a replica that was behind, or a copy that was restored."""
    world = machine.world
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


def test_a_host_that_was_away_keeps_no_pair_of_a_restored_server_from_failing_over(machine):
    """The server was deleted and restored meanwhile: the epoch of its new pair is later than the last one."""
    world = machine.world
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


def test_a_database_that_has_lost_the_end_of_a_pair_learns_of_it_from_the_hosts(machine):
    world = machine.world
    before = world.copy_database()
    _cut_off(world, "b")
    _until(machine, lambda: world.row().epoch == 1 and world.answering() == ["a"])
    world.forget(before)
    _return(world, "b")
    _until(machine, lambda: world.row().state == State.PROTECTED and world.row().epoch == 1)
    assert world.answering() == ["a"]


def test_nothing_is_done_while_it_is_not_certain_which_grant_is_the_newest(machine):
    """Two grants are lost, and the secondary of the pair before them returns."""
    world = machine.world
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


def test_a_primary_that_dies_as_soon_as_it_is_protected_is_replaced(machine):
    """The last report of its agent is from before that: it says nothing about the secondary."""
    world = machine.world
    _cut_off(world, "b")
    _until(machine, lambda: (world.row().state, world.row().secondary_host) == (State.PROTECTED, "c"))
    world.power_cut("a")
    _until(machine, lambda: world.answering() == ["c"])


@pytest.mark.parametrize("order", ["a", "ab", "ba", "b a"])
def test_a_guest_that_powers_itself_off_stays_off_until_it_is_started(machine, order):
    """Both replicas do the same, one of them first; a blank is a second."""
    world = machine.world
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


def test_an_unprotected_guest_that_powers_itself_off_stays_off_until_it_is_started(machine):
    world = machine.world
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


def test_an_engine_that_stalls_destroys_no_replica_that_another_has_made_since(machine):
    """It stalls after the secondary was given up, before it is destroyed."""
    world = machine.world
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


def test_what_an_agent_cannot_do_is_tried_more_and_more_rarely_by_the_same_grant(machine):
    world = machine.world
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


def test_a_primary_runs_on_while_placement_is_away(machine):
    world = machine.world
    away = mock.Mock(side_effect=ServiceError("Placement", 0, "away"))
    with mock.patch.object(world.placement, "release", away):
        world.power_cut("b")
        _until(machine, lambda: world.answering() == ["a"], seconds=6)
        with world.database.reader() as session:
            kinds = [(row.kind, row.status) for row in session.scalars(sa.select(Operation))]
        assert ("run_alone", "done") in kinds


@pytest.mark.parametrize(
    ("what", "silent"),
    [("libvirt", ("a",)), ("libvirt", ("b",)), ("libvirt", ("a", "b")), ("QEMU", ("a", "b"))],
)
def test_nothing_is_lost_while_replicas_do_not_answer(machine, silent, what):
    """As while libvirtd is restarted, or storage that both hosts share hangs."""
    world = machine.world
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


@pytest.mark.parametrize("what", ["QEMU", "libvirt"])
def test_a_guest_without_secondary_that_does_not_answer_is_not_restarted(machine, what):
    world = machine.world
    world.placement.full.add("c")
    world.power_cut("b")
    _until(machine, lambda: world.row().epoch == 1)
    world.hosts["a"].backend.silent = what
    machine.some_seconds_pass_in_peace(60)
    assert (world.row().state, world.answering()) == (State.DEGRADED, ["a"])
    assert "restarted" not in [event.reason.code for event in world.events()]


def test_no_failover_goes_to_a_secondary_that_does_not_answer(machine):
    machine.world.hosts["b"].backend.silent = "libvirt"
    _failover_is_refused(machine, "does not answer")


def _failover_is_refused(machine, words):
    """Request a failover, and assert that the pair stays as it was, with a reason that has some words."""
    world = machine.world
    world.ask(actions.FAILOVER, {})
    machine.some_seconds_pass_in_peace(20)
    row = world.row()
    assert (row.state, row.epoch, world.answering()) == (State.PROTECTED, 0, ["a"])
    assert words in str(row.state_reason)


def test_a_planned_failover_goes_to_a_host_with_an_agent_of_an_earlier_release(machine):
    world = machine.world
    manager = world.hosts["b"].manager
    with mock.patch.object(manager, "live_status", side_effect=messaging.NoSuchMethod("live_status")):
        world.ask(actions.FAILOVER, {})
        _until(machine, lambda: world.answering() == ["b"])


def test_no_failover_leaves_a_primary_whose_agent_refuses_requests(machine):
    refuse = mock.Mock(side_effect=UnverifiedError(reasons.REQUEST_NOT_SIGNED(host="a")))
    with mock.patch.multiple(machine.world.hosts["a"].manager, status=refuse, demote=refuse):
        _failover_is_refused(machine, "refused a request")


@pytest.mark.parametrize("release", ["this", "an earlier one"])
def test_a_primary_is_unprotected_by_an_agent_of_each_release(machine, release):
    world = machine.world
    manager = world.hosts["a"].manager
    unprotect, given = manager.release, []

    def of_this(ctxt, **arguments):
        given.append(arguments)
        unprotect(ctxt, **arguments)

    def of_an_earlier_one(ctxt, server_id):
        given.append({"server_id": server_id})
        unprotect(ctxt, server_id)

    method = of_this if release == "this" else of_an_earlier_one
    with mock.patch.object(manager, "release", method):
        world.ask(actions.UNPROTECT, {})
        _until(machine, lambda: world.row().state == State.UNPROTECTED)
    assert ("role" in given[-1], world.hosts["a"].role()) == (release == "this", None)


def test_a_secondary_that_does_not_answer_is_given_up_so_that_clients_need_not_wait(machine):
    world = machine.world
    world.hosts["b"].backend.silent = "QEMU"
    _until(machine, lambda: world.row().epoch == 1 and world.answering() == ["a"])
    assert "secondary_silent" in str([event.reason.data() for event in world.events()])


@pytest.mark.parametrize("left", ["", "QEMU"])
def test_a_server_whose_last_replica_ends_before_it_is_promoted_is_restarted(machine, left):
    """Nobody would be promoted, and the primary has no grant.

    :param left: what does not answer on the former primary's host for a minute; else its guest has ended
    """
    world = machine.world
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


@pytest.mark.parametrize("lost", ["request", "answer"])
def test_the_only_replica_left_is_promoted_by_a_later_attempt(machine, lost):
    world = machine.world
    world.lose_next(lost, "promote")
    world.hosts["a"].end_guest()
    _until(machine, lambda: world.answering() == ["b"])
    assert "restarted" not in [event.reason.code for event in world.events()]


def test_libvirt_that_goes_away_after_the_grant_costs_no_guest(machine):
    """It answers when the grant is given, and does not when the secondary is to be promoted."""
    world = machine.world
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


def test_a_primary_that_does_not_answer_is_replaced(machine):
    world = machine.world
    world.hosts["a"].backend.silent = "QEMU"
    _until(machine, lambda: world.answering() == ["b"])
    assert "primary_silent" in str([event.reason.data() for event in world.events()])


@pytest.mark.parametrize("primary", ["stays", "is lost", "ends"])
def test_a_secondary_that_has_missed_a_write_is_never_promoted(machine, primary):
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


def test_what_waits_for_a_thread_keeps_no_pair_from_failing_over(machine):
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


@pytest.mark.parametrize("seen", [True, False], ids=["seen by the workflow", "seen later"])
def test_a_server_is_active_again_whose_move_has_failed_at_its_end(machine, seen):
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


@pytest.mark.parametrize("again", [False, True], ids=["stays", "is lost again"])
def test_a_stop_that_nova_completes_after_a_failover_keeps_no_records_from_following(machine, again):
    """The host is lost while Nova stops the server. Back again, it finds no guest, and records a stop."""
    world = machine.world
    world.nova.ask_for_stop()
    world.nova.work(True)
    world.power_cut("a")
    machine.the_other_engine_takes_over(1)
    assert world.answering() == ["b"]
    world.power_on("a")
    world.nova.work(True)
    assert (world.nova.host, world.nova.status) == ("a", "SHUTOFF")
    if again:
        world.power_cut("a")
    _until(machine, lambda: world.row().state == State.PROTECTED, seconds=120)
    assert (world.nova.host, world.nova.status, world.answering()) == ("b", "ACTIVE", ["b"])


@pytest.mark.parametrize("number", range(10))
def test_a_failover_goes_on_when_the_database_undoes_one_of_its_transactions(machine, number):
    """MariaDB rolls back one of two transactions in a deadlock, Galera one of two from different nodes."""
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
