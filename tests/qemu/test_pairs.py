# SPDX-License-Identifier: Apache-2.0
"""A pair of QEMUs keeps its client's connection at a failover, and while its link is cut.

All tests share one guest and one client with one connection, whose counts are each written to disk. After
each test the count is contiguous, the disk has what memory has, and memory is intact. The tests depend on
each other, in order.
"""

import contextlib
import signal
import subprocess
import threading
from collections.abc import Iterator

import pytest

from lab.core.patience import patient
from lab.machines import Guest, Testbed
from nova_colo.agent.rpcapi import has_ended
from nova_colo.standalone.pair import PairObservation
from tests.qemu.lives import OPTIONS, Life, listening

#: Seconds in which there must be no reply, since no replica has the grant.
HELD = 3.0
#: Checkpoints that an agent may count between two writes of its state.
UNWRITTEN = 2


@pytest.fixture(scope="module")
def life(testbed: Testbed) -> Iterator[Life]:
    life = Life(testbed, Guest("pair", number=110, checked_pages=64))
    yield life
    life.close()


@pytest.fixture
def pair(life: Life) -> Iterator[PairObservation]:
    """Return a pair that is in sync."""
    yield life.protect()
    life.goes_on()


def test_a_guest_that_runs_is_protected_and_shows_how_far_it_is(life):
    stages = [
        progress["stage"] for progress in life.pair.protect("compute-a", "compute-b", timeout=patient(60))
    ]
    assert stages[-1] == "sending memory"
    life.goes_on()
    observation = life.observe()
    assert (observation.primary, observation.secondary, observation.epoch) == ("compute-a", "compute-b", 0)
    primary = observation.replicas["compute-a"]
    assert (primary["link_up"], primary["progress"], primary["error"]) == (True, None, None)
    assert primary["stood_still_ms"] > 0


def test_checkpoints_are_counted(life, pair):
    life.wait("two periodic checkpoints", lambda: life.replica(pair.primary)["checkpoints"]["periodic"] >= 2)
    figures = life.replica(pair.primary)["checkpoints"]
    assert figures["total"] == figures["mismatch"] + figures["periodic"] + figures["forced"]
    assert 0 < figures["pause_ms"]["mean"] <= figures["pause_ms"]["max"]


def test_the_secondary_takes_over_when_the_primary_is_killed_and_not_before_it_may(life, pair):
    hosts = pair.primary, pair.secondary
    before = {name: life.testbed.agents.immediate(name) for name in hosts}
    life.host(pair.primary).kill_qemu(life.guest.name)
    life.wait_for_loss(pair.secondary)
    life.wait("its end is known", lambda: life.replica(pair.primary)["running"] is False)
    life.wait(
        "both agents have reported it",
        lambda: all(life.testbed.agents.immediate(name) > before[name] for name in hosts),
    )
    assert life.answers(HELD) == 0
    gap_ms = life.take_over(pair)
    assert gap_ms is not None and gap_ms >= HELD * 1000
    life.goes_on()
    life.discard(pair.primary)
    assert life.runs_on() == [pair.secondary]


def test_the_primary_goes_on_alone_when_the_secondary_is_killed(life, pair):
    life.host(pair.secondary).kill_qemu(life.guest.name)
    life.wait_for_loss(pair.primary)
    life.pair.run_unprotected(pair)
    life.discard(pair.secondary)
    assert life.replica(pair.primary)["epoch"] == pair.epoch + 1


def test_a_planned_failover_ends_the_old_primary(life, pair):
    life.pair.fail_over(pair)
    life.on = pair.secondary
    life.goes_on()
    assert life.runs_on() == [pair.secondary]


@pytest.mark.parametrize("planned", [True, False])
def test_a_primary_that_is_frozen_is_replaced_and_never_wakes(life, pair, planned):
    life.signal_qemu(pair.primary, signal.SIGSTOP)
    life.wait("it counts as silent", lambda: life.replica(pair.primary)["silent"])
    if planned:
        assert life.demote(pair) is False
    life.take_over(pair)
    life.wait("it has ended", lambda: life.runs_on() == [pair.secondary])
    life.goes_on()
    life.discard(pair.primary)


def test_a_primary_whose_agent_was_restarted_and_frozen_never_wakes(life, pair):
    host = life.host(pair.primary)
    host.kill_agent()
    host.start_agent(qemu=OPTIONS)
    life.wait("the link is known to be up", lambda: life.replica(pair.primary)["link_up"])
    host.freeze()
    try:
        life.take_over(pair)
        life.wait("it has ended", lambda: life.host(pair.primary).qemu_pid(life.guest.name) is None)
        life.goes_on()
    finally:
        host.thaw()
    life.discard(pair.primary)


def test_a_guest_that_runs_alone_says_where_it_is_again_and_again(life, pair):
    """A primary that was disconnected may answer ARP requests later, and switches would send to it."""
    life.host(pair.primary).kill_qemu(life.guest.name)
    life.wait_for_loss(pair.secondary)
    life.take_over(pair)
    # the failover itself announces it five times within two seconds
    listen = [
        "timeout",
        "60",
        "tcpdump",
        "-i",
        "uplink",
        "-c",
        "12",
        f"rarp and ether src {life.guest.macs[0]}",
    ]
    life.host(pair.secondary).run(listen)
    life.goes_on()
    life.discard(pair.primary)


def test_a_secondary_that_is_frozen_is_given_up(life, pair):
    life.signal_qemu(pair.secondary, signal.SIGSTOP)
    life.wait("it counts as silent", lambda: life.replica(pair.secondary)["silent"])
    life.wait_for_loss(pair.primary)
    life.pair.run_unprotected(pair)
    life.goes_on()
    life.signal_qemu(pair.secondary, signal.SIGCONT)
    life.discard(pair.secondary)


@pytest.mark.parametrize("survivor", ["primary", "secondary"])
def test_who_has_the_grant_answers_when_the_link_is_cut_and_nobody_before(life, pair, survivor):
    cut = life.host(pair.secondary).replication
    cut.cut()
    try:
        for name in (pair.primary, pair.secondary):
            lost = life.wait_for_loss(name)
            assert "peer_silent" in [reason["code"] for reason in lost["reasons"]], lost
        assert life.answers(HELD) == 0
        if survivor == "primary":
            life.pair.run_unprotected(pair)
        else:
            life.take_over(pair)
        life.goes_on()
        assert len(life.runs_on()) == 2
    finally:
        cut.restore()
    life.goes_on()
    if survivor == "secondary":  # the request to end the primary is repeated
        life.wait("it has ended", lambda: life.runs_on() == [pair.secondary])
    life.discard(pair.secondary if survivor == "primary" else pair.primary)


def test_libvirtd_may_restart_and_no_checkpoint_goes_uncounted_afterwards(life, pair):
    for name in (pair.primary, pair.secondary):
        life.host(name).restart_libvirtd()
    before = life.replica(pair.primary)["checkpoints"]["total"]
    life.wait(
        "checkpoints go on to be counted",
        lambda: life.replica(pair.primary)["checkpoints"]["total"] >= before + 2,
    )
    replicas = [life.replica(name) for name in (pair.primary, pair.secondary)]
    assert all(replica["link_up"] for replica in replicas), f"{replicas}"


def test_the_agents_may_be_killed_and_know_the_pair_when_they_are_back(life, pair):
    before = life.replica(pair.primary)["checkpoints"]
    for name in (pair.primary, pair.secondary):
        life.host(name).kill_agent()
        life.host(name).start_agent(qemu=OPTIONS)
    life.wait(
        "the link is known to be up",
        lambda: all(life.replica(name)["link_up"] for name in (pair.primary, pair.secondary)),
    )
    # of the last half second, whose state was not written, the next checkpoint restores the number but not
    # the causes
    what = "all are counted again"
    after = life.wait(
        what, lambda: (now := life.replica(pair.primary)["checkpoints"])["total"] > before["total"] and now
    )
    assert all(after[cause] >= before[cause] - UNWRITTEN for cause in ("mismatch", "periodic", "forced")), (
        before,
        after,
    )
    life.pair.fail_over(pair)
    life.on = pair.secondary


def test_a_power_cut_of_the_primarys_host(life, pair):
    life.host(pair.primary).power_cut()
    life.wait_for_loss(pair.secondary)
    life.take_over(pair)
    life.goes_on()
    power_on_again(life, pair.primary)


def export_port(life: Life, pair: PairObservation) -> int:
    """Return the port on which a secondary exports its disks: the lower one of two."""
    secondary = life.host(pair.secondary)
    sockets = listening(secondary, secondary.qemu_pid(life.guest.name))
    return min(int(address.rpartition(":")[2]) for address in sockets)


@contextlib.contextmanager
def half_a_write_is_sent(life: Life, pair: PairObservation) -> Iterator[None]:
    """Send the beginning of a write to the secondary's disk from the primary's host, but not its end."""
    program = f"""
import signal, socket, struct
server = socket.create_connection({(life.host(pair.secondary).address, export_port(life, pair))!r})
greeting = server.recv(18, socket.MSG_WAITALL)
assert greeting.startswith(b"NBDMAGIC"), greeting
server.sendall(struct.pack(">I8sII5s", 3, b"IHAVEOPT", 1, 5, b"disk0"))  # flags, option, its length, export
server.recv(10, socket.MSG_WAITALL)
server.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 1, 0, 0, 65536) + bytes(4096))
print("sent", flush=True)
signal.pause()
"""
    command = life.host(pair.primary).command(["python3", "-c", program])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "sent\n"
        try:
            yield
        finally:
            process.terminate()


def hold_acknowledgements(life: Life, pair: PairObservation) -> None:
    """Delay what the server of the secondary's disk sends to the primary; all else arrives."""
    device = ["dev", "repl"]
    port = ["match", "ip", "sport", str(export_port(life, pair)), "0xffff"]
    for command in (
        ["qdisc", "add", *device, "root", "handle", "1:", "htb"],
        ["class", "add", *device, "parent", "1:", "classid", "1:1", "htb", "rate", "8bit", "burst", "1"],
        ["filter", "add", *device, "parent", "1:", "protocol", "ip", "u32", *port, "flowid", "1:1"],
    ):
        life.host(pair.secondary).run(["tc", *command])


def wait_for_silence(life: Life, name: str) -> None:
    """Wait until a QEMU does not answer its agent any more."""
    life.wait("QEMU waits for its disks", lambda: life.replica(name)["running"] is False)


def wait_for_answering_loss(life: Life, name: str) -> None:
    """Wait until a replica has lost its peer and answers its agent."""
    assert not has_ended(life.wait_for_loss(name))
    life.wait("QEMU answers", lambda: life.replica(name)["running"])


def power_on_again(life: Life, name: str) -> None:
    life.host(name).power_on()
    life.host(name).start_agent(qemu=OPTIONS)
    life.wait("the end of its guest is reported", lambda: life.replica(name)["running"] is False)
    life.discard(name)


def test_a_power_cut_of_the_primarys_host_in_the_middle_of_a_write(life, pair):
    """A checkpoint makes the secondary's QEMU wait for the end of that write."""
    with half_a_write_is_sent(life, pair):
        wait_for_silence(life, pair.secondary)
        life.host(pair.primary).power_cut()
        wait_for_answering_loss(life, pair.secondary)
        life.take_over(pair)
        life.goes_on()
    power_on_again(life, pair.primary)


def test_a_power_cut_of_the_secondarys_host_before_it_has_acknowledged_a_write(life, pair):
    """A checkpoint makes the primary's QEMU wait for that."""
    hold_acknowledgements(life, pair)
    wait_for_silence(life, pair.primary)
    life.host(pair.secondary).power_cut()
    wait_for_answering_loss(life, pair.primary)
    life.pair.run_unprotected(pair)
    life.goes_on()
    power_on_again(life, pair.secondary)


def test_a_mode_can_be_changed_while_the_pair_runs(life, pair):
    life.pair.set_mode(pair, "checkpoint", 200)
    then = life.replica(pair.primary)["checkpoints"]
    periodic = lambda: life.replica(pair.primary)["checkpoints"]["periodic"]  # noqa: E731
    # a checkpoint that was in progress when the mode changed has ended by then
    life.wait("the first one in this mode", lambda: periodic() > then["periodic"])
    before = life.replica(pair.primary)["checkpoints"]
    life.wait("periodic ones", lambda: periodic() >= before["periodic"] + 10)
    assert life.replica(pair.primary)["checkpoints"]["mismatch"] == before["mismatch"]
    life.pair.set_mode(pair, "colo", 200)
    life.goes_on()
    life.host(pair.primary).kill_qemu(life.guest.name)
    life.wait_for_loss(pair.secondary)
    life.take_over(pair)
    life.discard(pair.primary)


def test_hybrid_leaves_colo_while_replies_differ_and_comes_back(life, pair):
    life.pair.set_mode(pair, "hybrid", 2000)
    assert life.replica(pair.primary)["mode"] == "colo"
    ends = threading.Event()
    load = threading.Thread(target=ask_what_differs, args=(life, ends))
    load.start()
    try:
        life.wait("it wants periodic checkpoints", lambda: life.replica(pair.primary)["mode"] == "checkpoint")
        assert life.replica(pair.primary)["checkpoints"]["mismatch"] >= 3
        life.pair.set_mode(pair, "hybrid", 500, "checkpoint")
        # only now: until it is set, replies are compared
        before = life.replica(pair.primary)["checkpoints"]
        life.wait(
            "some", lambda: life.replica(pair.primary)["checkpoints"]["periodic"] >= before["periodic"] + 4
        )
        assert life.replica(pair.primary)["checkpoints"]["mismatch"] <= before["mismatch"] + 1
    finally:
        ends.set()
        load.join()
    life.wait("it tries colo again", lambda: life.replica(pair.primary)["mode"] == "colo")
    life.pair.set_mode(pair, "hybrid", 500, "colo")
    life.goes_on()
    assert life.replica(pair.primary)["mode"] == "colo"


def ask_what_differs(life: Life, ends: threading.Event) -> None:
    """Send requests whose replies differ between the replicas, until told to end."""
    while not ends.is_set():
        life.testbed.client.ask(life.guest.address, "t")


def test_unprotect_leaves_nothing_of_the_pair_in_a_guest_that_never_was_a_secondary(testbed):
    life = Life(testbed, Guest("plain", number=111))
    try:
        observation = life.protect()
        assert life.left()
        life.pair.unprotect(observation)
        assert life.left() == {}
        life.goes_on()
        life.protect()
        life.goes_on()
    finally:
        life.close()
