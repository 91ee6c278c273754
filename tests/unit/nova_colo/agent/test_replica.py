# SPDX-License-Identifier: Apache-2.0
"""What one replica of a pair of QEMUs makes of what it hears, and of what it does not."""

import dataclasses
import itertools
import signal
import socket
import subprocess

import pytest

from lab.core.patience import patient
from nova_colo.agent.qemu import fencing
from nova_colo.agent.qemu import replica as replicas
from nova_colo.agent.qemu.fencing import Fence
from nova_colo.agent.qemu.qmp.client import Event
from nova_colo.agent.qemu.state_store import Record, Stage
from nova_colo.pair import hybrid, link_health

DELAY_S = 1.0
#: A checkpoint that is late by so much means that replication is stuck.
STUCK_S = 10.0
NUMBERS = itertools.count()


class Clock:
    """Stands for the module time."""

    def __init__(self):
        self.now = 1000.0

    def time(self):
        return self.now

    monotonic = time


class Guest:
    """A QEMU whose sockets are connected; ``process`` stands for it."""

    uuid = "s-1"

    def __init__(self):
        self.objects = ["colo-agrees0"]

    def __call__(self, command, arguments=None):
        match command:
            case "query-chardev":
                return [{"label": "colo-mirror0", "filename": "tcp:"}]
            case "query-cpus-fast":
                return [{"thread-id": self.process.pid}]
            case "qom-list":
                return [{"name": name} for name in self.objects]
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


def make_replica(stage, primary=True):
    record = Record(
        "s-1", primary=primary, stage=stage, ports=[], peer="192.0.2.2", delay_ms=int(1000 * DELAY_S)
    )
    reach = Probe()
    made = replicas.Replica(
        record,
        Guest(),
        reach,
        lambda: made.there,
        lambda record: None,
        hybrid.Rule(),
        link_health.Thresholds(),
    )
    made.there, made.reach = True, reach
    return made


@pytest.fixture
def replica(clock):
    made = make_replica(Stage.STARTING)
    made.on_in_sync()
    return made


def pass_by(replica, clock, seconds, checkpoints=True):
    """Let time pass, with a checkpoint and a look in each second."""
    for _ in range(int(seconds)):
        clock.now += 1
        if checkpoints:
            replica.on_event(Event("RESUME", clock.now, {}, next(NUMBERS)))
        replica.poll()


def test_replication_that_stands_still_is_lost(replica, clock):
    pass_by(replica, clock, 20)
    assert replica.report(paired=True).link_up
    pass_by(replica, clock, DELAY_S + STUCK_S + 1, checkpoints=False)
    found = replica.report(paired=True)
    assert found.link_up is False and found.reasons[0].code == "link_stuck"


def test_nothing_leaves_a_primary_that_has_lost_its_twin_and_has_no_grant(replica, clock):
    pass_by(replica, clock, 20)
    assert "colo-held0" not in replica.guest.objects
    pass_by(replica, clock, DELAY_S + STUCK_S + 1, checkpoints=False)
    assert replica.guest.objects.count("colo-held0") == 1
    pass_by(replica, clock, 2)
    assert "colo-held0" not in replica.guest.objects, "it has its twin again"
    pass_by(replica, clock, DELAY_S + STUCK_S + 1, checkpoints=False)
    assert "colo-held0" in replica.guest.objects
    replica.on_disconnected()
    assert "colo-held0" not in replica.guest.objects, "it runs alone"
    pass_by(replica, clock, DELAY_S + STUCK_S + 1, checkpoints=False)
    assert "colo-held0" not in replica.guest.objects


def test_what_was_held_back_before_the_agent_was_restarted_is_let_out(clock):
    made = make_replica(Stage.IN_SYNC)
    made.guest.objects.append("colo-held0")
    pass_by(made, clock, 1, checkpoints=False)
    assert "colo-held0" in made.guest.objects, "nothing is known of the twin"
    pass_by(made, clock, 1)
    assert "colo-held0" not in made.guest.objects


def test_that_nothing_was_heard_while_libvirt_was_away_is_no_loss(replica, clock):
    """An engine would part the two for it."""
    pass_by(replica, clock, 5)
    replica.there = None
    pass_by(replica, clock, 60, checkpoints=False)
    replica.there = True
    clock.now += 1
    replica.poll()  # before its events are heard again
    assert replica.report(paired=True).link_up
    replica.on_reconnect()
    replica.poll()
    assert replica.report(paired=True).link_up


def test_nor_is_it_while_libvirt_stood_still(replica, clock):
    pass_by(replica, clock, 5)
    clock.now += 60
    replica.poll()
    assert replica.report(paired=True).link_up


def test_nor_after_a_moment_in_which_the_only_checkpoint_of_a_while_was_missed(replica, clock):
    replica.save(delay_ms=20000)
    pass_by(replica, clock, 1)
    pass_by(replica, clock, 19, checkpoints=False)
    replica.on_reconnect()  # one was due, and was not heard
    pass_by(replica, clock, 20, checkpoints=False)
    assert replica.report(paired=True).link_up


def test_a_link_that_is_stuck_when_libvirt_is_back_is_found_out(replica, clock):
    pass_by(replica, clock, 5)
    replica.there = None
    pass_by(replica, clock, 60, checkpoints=False)
    replica.there = True
    replica.on_reconnect()
    pass_by(replica, clock, DELAY_S + STUCK_S + 2, checkpoints=False)
    assert replica.report(paired=True).link_up is False


def test_a_qemu_that_does_not_answer_is_not_excused(replica, clock, monkeypatch):
    """Its looks take long, too."""

    def silent(guest):
        clock.now += 5
        raise replicas.SilentError("nothing")

    pass_by(replica, clock, 5)
    monkeypatch.setattr(replicas.netfilter, "connections", silent)
    pass_by(replica, clock, 5, checkpoints=False)
    found = replica.report(paired=True)
    assert found.running is False and found.link_up is False


def test_an_agent_that_is_new_finds_out_that_replication_stands_still(clock):
    replica = make_replica(Stage.IN_SYNC)
    pass_by(replica, clock, 5, checkpoints=False)
    assert replica.report(paired=True).link_up
    pass_by(replica, clock, DELAY_S + STUCK_S, checkpoints=False)
    assert replica.report(paired=True).link_up is False


def test_a_new_secondary_does_not_inherit_the_loss_that_the_old_qemus_last_event_tells(clock):
    replica = make_replica(Stage.STARTING, primary=False)
    replica.on_event(Event("COLO_EXIT", clock.now, {}, next(NUMBERS)))
    replica.on_in_sync()
    pass_by(replica, clock, 2)
    assert replica.report(paired=True).link_up
    replica.on_event(Event("COLO_EXIT", clock.now, {}, next(NUMBERS)))
    assert replica.report(paired=True).link_up is False


def test_both_replicas_go_by_what_the_primarys_host_is_configured_to():
    record = Record(
        "s-1", primary=False, stage=Stage.STARTING, ports=[], paces={"delay": 7000, "interval": 50}
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


def test_that_its_twins_host_is_silent_is_told_at_once_and_once(replica, clock):
    pass_by(replica, clock, 1)
    assert not replica.is_peer_silent() and not replica.poll()
    replica.reach.silent_s = 2.1
    assert replica.is_peer_silent()  # so it is looked at now
    assert replica.poll()
    assert replica.report(True).link_up is False
    assert not replica.is_peer_silent() and not replica.poll()


@pytest.fixture
def fenced(replica):
    """A replica that can be ended from its twin's host."""
    replica.guest.process = subprocess.Popen(["sleep", "600"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        replica.record.fence = dataclasses.asdict(fencing.make(*probe.getsockname()))
    yield replica
    replica.guest.process.kill()
    replica.guest.process.wait()


def test_a_primary_in_step_can_be_ended_from_its_twins_host(fenced, clock):
    pass_by(fenced, clock, 1)
    assert fenced.report(True).reasons == []
    twin = make_replica(Stage.IN_SYNC, primary=False)
    twin.record.fence = fenced.record.fence
    twin.trigger_fence()
    assert fenced.guest.process.wait(patient(10)) == -signal.SIGKILL
    twin.retrigger_fence()
    assert twin.record.firing  # until the host has said that it knows
    fenced.on_ended()
    twin.retrigger_fence()
    assert twin.record.firing is None


@pytest.mark.parametrize("end", [lambda replica: replica.on_disconnected(), lambda replica: replica.close()])
def test_a_primary_without_a_twin_cannot_be_ended_by_it(fenced, clock, end):
    pass_by(fenced, clock, 1)
    end(fenced)
    assert Fence(**fenced.record.fence).trigger(10)
    assert fenced.guest.process.poll() is None


def test_a_primary_that_cannot_be_ended_says_why(fenced, clock):
    with Fence(**fenced.record.fence).arm(fenced.guest.process.pid):
        pass_by(fenced, clock, 1)
        [reason] = fenced.report(True).reasons
        assert str(reason).startswith("The primary cannot be killed from its peer's host: UDP port ")
    pass_by(fenced, clock, 1)
    assert fenced.report(True).reasons == []
