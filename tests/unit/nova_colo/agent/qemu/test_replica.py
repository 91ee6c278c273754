# SPDX-License-Identifier: Apache-2.0
"""A replica's conclusions from QEMU's events, and from their absence."""

import dataclasses
import errno
import itertools
import os
import signal
import socket
import threading
from unittest import mock

import pytest

from lab.core.patience import patient
from nova_colo.agent.qemu import fencing, privileged
from nova_colo.agent.qemu import replica as replicas
from nova_colo.agent.qemu.fencing import Fence
from nova_colo.agent.qemu.qmp.client import Event, SilentError
from nova_colo.agent.qemu.state_store import Record
from nova_colo.pair import hybrid, link_health, reasons
from nova_colo.pair.replica_state import Stage
from tests.fixtures import programs

DELAY_S = 1.0
#: Lateness in seconds at which a checkpoint means that replication is stuck.
STUCK_S = 10.0
NUMBERS = itertools.count()


class Clock:
    """A replacement of the module time."""

    def __init__(self):
        self.now = 1000.0

    def time(self):
        return self.now

    monotonic = time


class Guest:
    """A QEMU whose sockets are connected; ``process`` is its process."""

    uuid = "s-1"

    def __init__(self):
        self.objects = ["colo-agrees0"]
        self.jobs = [{"device": "colo-remote0", "io-status": "ok", "ready": True}]
        self.yanked = []
        self.broken, self.resets = False, 0

    def __call__(self, command, arguments=None):
        match command:
            case "query-chardev":
                return [{"label": "colo-mirror0", "filename": "tcp:"}]
            case "query-cpus-fast":
                return [{"thread-id": self.process.pid}]
            case "qom-list":
                return [{"name": name} for name in self.objects]
            case "x-query-virtio":
                return [{"name": "virtio-net", "path": "/net0"}]
            case "x-query-virtio-status":
                statuses = ["VIRTIO_CONFIG_S_DRIVER_OK: Driver setup and ready"]
                return {"disabled": False, "broken": self.broken, "status": {"statuses": statuses}}
            case "system_reset":
                self.resets += 1
            case "query-block-jobs":
                return self.jobs
            case "query-yank":
                return [{"type": "block-node", "node-name": "colo-remote0"}]
            case "yank":
                self.yanked += [instance["node-name"] for instance in arguments["instances"]]
            case "object-add":
                self.objects.append(arguments["id"])
            case "object-del":
                self.objects.remove(arguments["id"])
        return []


class Probe:
    silent_s = 0.0

    def age(self, address):
        return self.silent_s


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(replicas, "time", clock)
    return clock


def shut_down_own(peer, own_ports, peer_ports):
    """Shut down connections of this process, which is the QEMU."""
    handle = os.pidfd_open(os.getpid())
    try:
        with mock.patch.object(privileged, "_check_qemu"):
            privileged.shut_down_connections(handle, "s-1", peer, own_ports, peer_ports)
    finally:
        os.close(handle)


def make_replica(stage, primary=True):
    record = Record(
        "s-1", primary=primary, stage=stage, ports=[], peer="192.0.2.2", delay_ms=int(1000 * DELAY_S)
    )
    record.disks = ["/disk"]
    probe, stored = Probe(), []
    replica = replicas.Replica(
        record,
        Guest(),
        probe,
        lambda: replica.there,
        shut_down_own,
        lambda record: stored.append(dataclasses.replace(record)),
        hybrid.Rule(),
        link_health.Thresholds(),
    )
    replica.there, replica.probe, replica.stored = True, probe, stored
    return replica


@pytest.fixture
def replica(clock):
    replica = make_replica(Stage.STARTING)
    replica.on_in_sync()
    return replica


def advance(replica, clock, seconds, checkpoints=True):
    """Advance the clock, with a checkpoint and a poll in each second."""
    for _ in range(int(seconds)):
        clock.now += 1
        if checkpoints:
            replica.on_event(Event("RESUME", clock.now, {}, next(NUMBERS)))
        replica.poll()


def test_replication_that_stands_still_is_lost(replica, clock):
    advance(replica, clock, 20)
    assert replica.report(paired=True).link_up
    advance(replica, clock, DELAY_S + STUCK_S + 1, checkpoints=False)
    report = replica.report(paired=True)
    assert report.link_up is False and report.reasons[0].code == "link_stuck"


def test_nothing_leaves_a_primary_that_has_lost_its_peer_and_has_no_grant(replica, clock):
    advance(replica, clock, 20)
    assert "colo-held0" not in replica.guest.objects
    advance(replica, clock, DELAY_S + STUCK_S + 1, checkpoints=False)
    assert replica.guest.objects.count("colo-held0") == 1
    advance(replica, clock, 2)
    assert "colo-held0" not in replica.guest.objects, "its peer is back"
    advance(replica, clock, DELAY_S + STUCK_S + 1, checkpoints=False)
    assert "colo-held0" in replica.guest.objects
    replica.on_disconnected()
    assert "colo-held0" not in replica.guest.objects, "it runs unprotected"
    advance(replica, clock, DELAY_S + STUCK_S + 1, checkpoints=False)
    assert "colo-held0" not in replica.guest.objects


def test_what_was_held_back_before_the_agent_was_restarted_is_let_out(clock):
    secondary = make_replica(Stage.IN_SYNC)
    secondary.guest.objects.append("colo-held0")
    advance(secondary, clock, 1, checkpoints=False)
    assert "colo-held0" in secondary.guest.objects, "nothing is known of the peer"
    advance(secondary, clock, 1)
    assert "colo-held0" not in secondary.guest.objects


def test_that_nothing_was_heard_while_libvirt_was_away_is_no_loss(replica, clock):
    """Otherwise the engine would disconnect the replicas."""
    advance(replica, clock, 5)
    replica.there = None
    advance(replica, clock, 60, checkpoints=False)
    replica.there = True
    clock.now += 1
    replica.poll()  # before its events are received again
    assert replica.report(paired=True).link_up
    replica.on_reconnect()
    replica.poll()
    assert replica.report(paired=True).link_up


def test_a_disk_that_hangs_delays_neither_events_nor_reports(replica, clock):
    hangs = threading.Event()
    replica.writer._store = lambda record: hangs.wait(patient(60))
    replica.on_event(Event("RESUME", clock.now + 1, {}, next(NUMBERS)))
    writing = threading.Thread(target=replica.writer.write)
    writing.start()
    try:
        advance(replica, clock, 20)
        assert replica.report(paired=True).link_up
        replica.on_event(Event("COLO_EXIT", clock.now, {}, next(NUMBERS)))
        replica.on_event(Event("SHUTDOWN", clock.now, {"reason": "guest-shutdown"}, next(NUMBERS)))
        assert replica.report(paired=True).link_up is False
        assert writing.is_alive()
    finally:
        hangs.set()
        writing.join()
    assert replica.writer.pending, "what has changed meanwhile is written next"


def test_what_could_not_be_written_is_written_later(replica, clock):
    def full(record):
        raise OSError(errno.ENOSPC, "No space left on device")

    store, replica.writer._store = replica.writer._store, full
    with pytest.raises(OSError, match="No space left"):
        replica.save(delay_ms=5000)
    assert replica.writer.pending
    replica.writer._store = store
    replica.writer.write()
    assert not replica.writer.pending and replica.stored[-1].delay_ms == 5000


@pytest.mark.parametrize("paired", [True, False])
def test_while_libvirt_is_away_it_is_not_known_what_its_guest_does(replica, clock, paired):
    advance(replica, clock, 5)
    replica.there = None
    replica.poll()
    report = replica.report(paired)
    assert (report.running, report.silent) == (True, True)
    replica.there = True
    replica.poll()
    assert not replica.report(paired).silent


def test_nor_while_a_poll_hangs(replica, clock):
    advance(replica, clock, 5)
    clock.now += replicas.OVERDUE_S + 1
    assert replica.report(paired=True).silent
    replica.poll()
    assert not replica.report(paired=True).silent


def test_a_guest_that_has_ended_is_not_silent(replica, clock):
    replica.there = False
    replica.poll()
    clock.now += replicas.OVERDUE_S + 1
    report = replica.report(paired=True)
    assert (report.running, report.silent) == (False, False)


def test_nor_is_it_while_libvirt_stood_still(replica, clock):
    advance(replica, clock, 5)
    clock.now += 60
    replica.poll()
    assert replica.report(paired=True).link_up


def test_nor_after_a_moment_in_which_the_only_checkpoint_of_a_while_was_missed(replica, clock):
    replica.save(delay_ms=20000)
    advance(replica, clock, 1)
    advance(replica, clock, 19, checkpoints=False)
    replica.on_reconnect()  # one checkpoint was due, and its events were lost
    advance(replica, clock, 20, checkpoints=False)
    assert replica.report(paired=True).link_up


def test_a_link_that_is_stuck_when_libvirt_is_back_is_found_out(replica, clock):
    advance(replica, clock, 5)
    replica.there = None
    advance(replica, clock, 60, checkpoints=False)
    replica.there = True
    replica.on_reconnect()
    advance(replica, clock, DELAY_S + STUCK_S + 2, checkpoints=False)
    assert replica.report(paired=True).link_up is False


def test_a_qemu_that_does_not_answer_is_not_excused(replica, clock, monkeypatch):
    """The polls of such a QEMU take long, too."""

    def silent(guest):
        clock.now += 5
        raise replicas.SilentError("nothing")

    advance(replica, clock, 5)
    monkeypatch.setattr(replicas.netfilter, "connections", silent)
    advance(replica, clock, 5, checkpoints=False)
    report = replica.report(paired=True)
    assert report.running is False and report.link_up is False


def test_an_agent_that_is_new_finds_out_that_replication_stands_still(clock):
    replica = make_replica(Stage.IN_SYNC)
    advance(replica, clock, 5, checkpoints=False)
    assert replica.report(paired=True).link_up
    advance(replica, clock, DELAY_S + STUCK_S, checkpoints=False)
    assert replica.report(paired=True).link_up is False


def test_a_new_secondary_does_not_inherit_the_loss_that_the_old_qemus_last_event_tells(clock):
    replica = make_replica(Stage.STARTING, primary=False)
    replica.on_event(Event("COLO_EXIT", clock.now, {}, next(NUMBERS)))
    replica.on_in_sync()
    advance(replica, clock, 2)
    assert replica.report(paired=True).link_up
    replica.on_event(Event("COLO_EXIT", clock.now, {}, next(NUMBERS)))
    assert replica.report(paired=True).link_up is False


COPY_FAILED = ("BLOCK_JOB_ERROR", {"device": "colo-remote0", "operation": "write", "action": "report"})
DISK_FAILED = ("QUORUM_FAILURE", {"reference": "colo-target0", "sector-num": 0, "sectors-count": 8})


def tell(replica, clock, name, data=None):
    """Emit an event of QEMU, and wait until the replica has left the pair if that is what it does."""
    before = set(threading.enumerate())
    replica.on_event(Event(name, clock.now, data or {}, next(NUMBERS)))
    for thread in set(threading.enumerate()) - before:
        thread.join(patient(10))
    return replica.report(paired=True)


def test_a_primary_whose_copy_has_ended_leaves_its_pair_at_once(replica, clock):
    report = tell(replica, clock, *COPY_FAILED)
    assert replica.guest.yanked == ["colo-remote0"]
    assert (report.link_up, report.reasons[0].code) == (False, "copy_ended")
    assert report.disks_equal, "no checkpoint was taken since: the secondary is as it was at the last one"


def test_a_checkpoint_after_a_missed_write_makes_the_disks_differ(replica, clock):
    tell(replica, clock, *COPY_FAILED)
    assert replica.on_event(Event("RESUME", clock.now, {}, next(NUMBERS))), "the engine hears of it at once"
    assert replica.report(paired=True).disks_equal is False
    replica.on_disconnected()
    assert replica.report(paired=True).disks_equal, "a new secondary gets a new copy"


def test_a_primary_notices_a_missed_write_whose_event_was_missed(replica, clock):
    replica.guest.jobs = []
    replica.poll()
    report = replica.report(paired=True)
    assert (report.link_up, report.disks_equal) == (False, False)
    assert replica.guest.yanked == ["colo-remote0"]


def test_a_primary_of_an_earlier_release_has_no_copies_and_is_not_taken_for_broken(clock):
    replica = make_replica(Stage.IN_SYNC)
    replica.guest.jobs = []
    advance(replica, clock, 3)
    assert replica.report(paired=True).link_up and replica.guest.yanked == []


@pytest.mark.parametrize("event", [DISK_FAILED, ("BLOCK_IO_ERROR", {"node-name": "colo-child0"})])
def test_a_secondary_whose_disk_has_failed_never_forgets_it(clock, event):
    replica = make_replica(Stage.STARTING, primary=False)
    replica.on_in_sync()
    report = tell(replica, clock, *event)
    assert (report.disks_equal, report.reasons[0].code) == (False, "disk_failed")
    assert replica.stored[-1].disks_equal is False, "it must survive a restart of the agent"
    assert replica.guest.yanked == [], "the primary need not wait for the engine"


def test_an_error_of_the_primarys_own_disk_is_reported_and_the_pair_stays(replica, clock):
    report = tell(replica, clock, "BLOCK_IO_ERROR", {"operation": "write"})
    assert [reason.code for reason in report.reasons] == ["guest_disk_error"]
    advance(replica, clock, 2)
    assert replica.report(paired=True).link_up and replica.report(paired=True).disks_equal


def test_a_secondary_whose_devices_stay_broken_is_reset_more_and_more_rarely(clock):
    replica = make_replica(Stage.STARTING, primary=False)
    replica.on_in_sync()
    replica.guest.broken = True
    advance(replica, clock, 9)
    assert replica.guest.resets == 4, "at the 1st, 2nd, 4th and 8th checkpoint"
    assert [reason.code for reason in replica.report(paired=True).reasons] == ["devices_off"]
    replica.guest.broken = False
    advance(replica, clock, 1)
    assert replica.report(paired=True).reasons == []
    replica.guest.broken = True
    advance(replica, clock, 1)
    assert replica.guest.resets == 5


def test_other_events_of_disks_are_nobodys_failure(replica, clock):
    secondary = make_replica(Stage.STARTING, primary=False)
    secondary.on_in_sync()
    assert tell(secondary, clock, "BLOCK_IO_ERROR", {"node-name": "libvirt-1-format"}).disks_equal  # a CD-ROM
    for name, data in (
        ("BLOCK_JOB_ERROR", {"device": "libvirt-job"}),
        ("QUORUM_FAILURE", {"reference": "quorum"}),
        ("BLOCK_JOB_READY", {"device": "colo-remote0"}),
    ):
        assert tell(replica, clock, name, data).disks_equal
    assert replica.guest.yanked == []


def test_both_replicas_go_by_what_the_primarys_host_is_configured_to():
    record = Record(
        "s-1", primary=False, stage=Stage.STARTING, ports=[], host_parameters={"delay": 7000, "interval": 50}
    )
    assert record.parameters("colo", None) == {
        "policy": "colo",
        "mode": "colo",
        "interval_ms": 50,
        "delay_ms": 7000,
    }
    assert record.parameters("checkpoint", None)["delay_ms"] == 50
    assert record.parameters("checkpoint", 300)["delay_ms"] == 300
    assert record.parameters("hybrid", 300, "checkpoint")["delay_ms"] == 300
    assert record.parameters("hybrid", 300)["delay_ms"] == 7000


def test_that_its_peers_host_is_silent_is_told_at_once_and_once(replica, clock):
    advance(replica, clock, 1)
    assert not replica.is_peer_silent() and not replica.poll()
    replica.probe.silent_s = 2.1
    assert replica.is_peer_silent()  # so it is polled at once
    assert replica.poll()
    assert replica.report(True).link_up is False
    assert not replica.is_peer_silent() and not replica.poll()


def test_that_a_guest_has_powered_itself_off_is_told_until_it_is_started_again(replica, clock):
    for reason in ("host-qmp-quit", "guest-reset"):
        replica.on_event(Event("SHUTDOWN", clock.now, {"guest": False, "reason": reason}, next(NUMBERS)))
    replica.there = False
    replica.poll()
    assert not replica.report(paired=True).shut_down, "its QEMU was killed"
    replica.there = True
    replica.poll()
    replica.on_event(Event("SHUTDOWN", clock.now, {"guest": True, "reason": "guest-shutdown"}, next(NUMBERS)))
    replica.poll()
    assert not replica.report(paired=True).shut_down, "its QEMU has not ended yet"
    replica.there = False
    replica.poll()
    assert replica.report(paired=True).shut_down and replica.report(paired=False).shut_down
    replica.writer.write()
    assert replica.stored[-1].shut_down, "it must survive a restart of the agent"
    replica.there = True
    replica.poll()
    replica.there = False
    replica.poll()
    assert not replica.report(paired=True).shut_down, "the next one was killed"


class Connections:
    """Connections of a QEMU to a peer, by TCP on the loopback interface."""

    def __init__(self):
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.ours = [self._server]

    def open(self):
        """Open one, and return QEMU's end of it, and the peer's."""
        self.ours.append(socket.create_connection(self._server.getsockname()))
        peers, _ = self._server.accept()
        peers.settimeout(patient(5))
        return self.ours[-1], peers

    def close(self):
        for connection in self.ours:
            connection.close()


def is_shut_down(connection):
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False


@pytest.fixture
def connections():
    connections = Connections()
    yield connections
    connections.close()


def make_waiting(primary, connections, role):
    """Return a replica whose QEMU answers only after its connection to the peer is shut down.

    :param role: of the connection's port: ``ports`` if QEMU listens on it, ``peer_ports`` if the peer does
    """
    replica = make_replica(Stage.STARTING, primary)
    replica.on_in_sync()
    replica.record.peer = "127.0.0.1"
    connection, peers = connections.open()
    setattr(replica.record, role, [connection.getsockname()[1] if role == "ports" else connections.port])

    class Waiting(Guest):
        def __call__(self, command, arguments=None):
            if not is_shut_down(connection):
                raise SilentError(reasons.QEMU_SILENT(command=command, seconds=5))
            return super().__call__(command, arguments)

    replica.guest = Waiting()
    return replica, peers


@pytest.mark.parametrize(("primary", "role"), [(True, "peer_ports"), (False, "ports")])
def test_a_qemu_that_waits_for_a_peer_that_is_lost_answers_again(clock, connections, primary, role):
    replica, peers = make_waiting(primary, connections, role)
    assert not replica.poll() and replica.report(True).running is False, "its peer may answer yet"
    replica.probe.silent_s = 3.0
    assert replica.poll() is True
    report = replica.report(True)
    assert (report.running, report.link_up) == (True, False)
    assert is_shut_down(peers)


def test_connections_to_others_and_those_of_other_purposes_stay(clock, connections):
    replica, _ = make_waiting(True, connections, "peer_ports")
    replica.record.peer_ports = [1]
    storage, _ = connections.open()
    replica.peer.shut_down_connections()
    replica.record.peer_ports, replica.record.peer = [connections.port], "127.0.0.2"
    replica.peer.shut_down_connections()
    assert not is_shut_down(storage)


def test_a_qemu_whose_sockets_the_kernel_refuses_stays_silent(clock, connections):
    def refuse(*connections):
        raise PermissionError("ptrace")

    replica, _ = make_waiting(True, connections, "peer_ports")
    replica.peer._shut_down, replica.probe.silent_s = refuse, 3.0
    replica.poll()
    assert replica.report(True).running is False


@pytest.fixture
def fenced(replica, tmp_path):
    """Yield a replica that can be killed from its peer's host."""
    replica.guest.process = programs.start_as_qemu_of(replica.record.server_id, tmp_path)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        replica.record.fence = dataclasses.asdict(fencing.make(*probe.getsockname()))
    yield replica
    replica.guest.process.kill()
    replica.guest.process.wait()


def test_a_primary_in_sync_can_be_ended_from_its_peers_host(fenced, clock):
    advance(fenced, clock, 1)
    assert fenced.report(True).reasons == []
    secondary = make_replica(Stage.IN_SYNC, primary=False)
    secondary.record.fence = fenced.record.fence
    secondary.trigger_fence()
    assert fenced.guest.process.wait(patient(10)) == -signal.SIGKILL
    secondary.retrigger_fence()
    assert secondary.record.former_fence  # until the host has confirmed the end
    fenced.on_ended()
    secondary.retrigger_fence()
    assert secondary.record.former_fence is None


@pytest.mark.parametrize("end", [lambda replica: replica.on_disconnected(), lambda replica: replica.close()])
def test_a_primary_without_a_secondary_cannot_be_ended_by_it(fenced, clock, end):
    advance(fenced, clock, 1)
    end(fenced)
    assert Fence(**fenced.record.fence).trigger(10)
    assert fenced.guest.process.poll() is None


def test_a_primary_that_cannot_be_ended_says_why(fenced, clock):
    with Fence(**fenced.record.fence).arm(fenced.guest.process.pid, fenced.record.server_id):
        advance(fenced, clock, 1)
        [reason] = fenced.report(True).reasons
        assert str(reason).startswith("The primary cannot be killed from its peer's host: UDP port ")
    advance(fenced, clock, 1)
    assert fenced.report(True).reasons == []
