# SPDX-License-Identifier: Apache-2.0
"""What one side of a pair of QEMUs makes of what it hears, and of what it does not."""

import dataclasses
import itertools
import signal
import socket
import subprocess

import pytest

from lab.patience import patient
from nova_colo.agent.qemu import fencing
from nova_colo.agent.qemu import replica as sides
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


class Reach:
    silent_s = 0.0

    def age(self, address):
        return self.silent_s


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(sides, "time", clock)
    return clock


def make_side(stage, primary=True):
    record = Record("s-1", primary=primary, stage=stage, ports=[], peer="192.0.2.2", delay_ms=int(1000 * DELAY_S))
    reach = Reach()
    made = sides.Side(record, Guest(), reach, lambda: made.there, lambda record: None, hybrid.Rule(), link_health.Thresholds())
    made.there, made.reach = True, reach
    return made


@pytest.fixture
def side(clock):
    made = make_side(Stage.STARTING)
    made.in_step()
    return made


def pass_by(side, clock, seconds, checkpoints=True):
    """Let time pass, with a checkpoint and a look in each second."""
    for _ in range(int(seconds)):
        clock.now += 1
        if checkpoints:
            side.heard(Event("RESUME", clock.now, {}, next(NUMBERS)))
        side.look()


def test_replication_that_stands_still_is_lost(side, clock):
    pass_by(side, clock, 20)
    assert side.report(paired=True).link_up
    pass_by(side, clock, DELAY_S + STUCK_S + 1, checkpoints=False)
    found = side.report(paired=True)
    assert found.link_up is False and found.reasons[0].code == "link_stuck"


def test_nothing_leaves_a_primary_that_has_lost_its_twin_and_has_no_grant(side, clock):
    pass_by(side, clock, 20)
    assert "colo-held0" not in side.guest.objects
    pass_by(side, clock, DELAY_S + STUCK_S + 1, checkpoints=False)
    assert side.guest.objects.count("colo-held0") == 1
    pass_by(side, clock, 2)
    assert "colo-held0" not in side.guest.objects, "it has its twin again"
    pass_by(side, clock, DELAY_S + STUCK_S + 1, checkpoints=False)
    assert "colo-held0" in side.guest.objects
    side.parted()
    assert "colo-held0" not in side.guest.objects, "it runs alone"
    pass_by(side, clock, DELAY_S + STUCK_S + 1, checkpoints=False)
    assert "colo-held0" not in side.guest.objects


def test_what_was_held_back_before_the_agent_was_restarted_is_let_out(clock):
    made = make_side(Stage.IN_STEP)
    made.guest.objects.append("colo-held0")
    pass_by(made, clock, 1, checkpoints=False)
    assert "colo-held0" in made.guest.objects, "nothing is known of the twin"
    pass_by(made, clock, 1)
    assert "colo-held0" not in made.guest.objects


def test_that_nothing_was_heard_while_libvirt_was_away_is_no_loss(side, clock):
    """An engine would part the two for it."""
    pass_by(side, clock, 5)
    side.there = None
    pass_by(side, clock, 60, checkpoints=False)
    side.there = True
    clock.now += 1
    side.look()  # before its events are heard again
    assert side.report(paired=True).link_up
    side.reconnected()
    side.look()
    assert side.report(paired=True).link_up


def test_nor_is_it_while_libvirt_stood_still(side, clock):
    pass_by(side, clock, 5)
    clock.now += 60
    side.look()
    assert side.report(paired=True).link_up


def test_nor_after_a_moment_in_which_the_only_checkpoint_of_a_while_was_missed(side, clock):
    side.save(delay_ms=20000)
    pass_by(side, clock, 1)
    pass_by(side, clock, 19, checkpoints=False)
    side.reconnected()  # one was due, and was not heard
    pass_by(side, clock, 20, checkpoints=False)
    assert side.report(paired=True).link_up


def test_a_link_that_is_stuck_when_libvirt_is_back_is_found_out(side, clock):
    pass_by(side, clock, 5)
    side.there = None
    pass_by(side, clock, 60, checkpoints=False)
    side.there = True
    side.reconnected()
    pass_by(side, clock, DELAY_S + STUCK_S + 2, checkpoints=False)
    assert side.report(paired=True).link_up is False


def test_a_qemu_that_does_not_answer_is_not_excused(side, clock, monkeypatch):
    """Its looks take long, too."""

    def silent(guest):
        clock.now += 5
        raise sides.SilentError("nothing")

    pass_by(side, clock, 5)
    monkeypatch.setattr(sides.netfilter, "connections", silent)
    pass_by(side, clock, 5, checkpoints=False)
    found = side.report(paired=True)
    assert found.running is False and found.link_up is False


def test_an_agent_that_is_new_finds_out_that_replication_stands_still(clock):
    side = make_side(Stage.IN_STEP)
    pass_by(side, clock, 5, checkpoints=False)
    assert side.report(paired=True).link_up
    pass_by(side, clock, DELAY_S + STUCK_S, checkpoints=False)
    assert side.report(paired=True).link_up is False


def test_a_new_secondary_does_not_inherit_the_loss_that_the_old_qemus_last_event_tells(clock):
    side = make_side(Stage.STARTING, primary=False)
    side.heard(Event("COLO_EXIT", clock.now, {}, next(NUMBERS)))
    side.in_step()
    pass_by(side, clock, 2)
    assert side.report(paired=True).link_up
    side.heard(Event("COLO_EXIT", clock.now, {}, next(NUMBERS)))
    assert side.report(paired=True).link_up is False


def test_both_sides_go_by_what_the_primarys_host_is_configured_to():
    record = Record("s-1", primary=False, stage=Stage.STARTING, ports=[], paces={"delay": 7000, "interval": 50})
    assert record.pace("colo", None) == {"policy": "colo", "mode": "colo", "interval_ms": 50, "delay_ms": 7000}
    assert record.pace("checkpoint", None)["delay_ms"] == 50
    assert record.pace("checkpoint", 300)["delay_ms"] == 300
    assert record.pace("hybrid", 300, "checkpoint")["delay_ms"] == 300
    assert record.pace("hybrid", 300)["delay_ms"] == 7000


def test_that_its_twins_host_is_silent_is_told_at_once_and_once(side, clock):
    pass_by(side, clock, 1)
    assert not side.is_cut_off() and not side.look()
    side.reach.silent_s = 2.1
    assert side.is_cut_off()  # so it is looked at now
    assert side.look()
    assert side.report(True).link_up is False
    assert not side.is_cut_off() and not side.look()


@pytest.fixture
def fenced(side):
    """A side that can be ended from its twin's host."""
    side.guest.process = subprocess.Popen(["sleep", "600"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        side.record.fence = dataclasses.asdict(fencing.make(*probe.getsockname()))
    yield side
    side.guest.process.kill()
    side.guest.process.wait()


def test_a_primary_in_step_can_be_ended_from_its_twins_host(fenced, clock):
    pass_by(fenced, clock, 1)
    assert fenced.report(True).reasons == []
    twin = make_side(Stage.IN_STEP, primary=False)
    twin.record.fence = fenced.record.fence
    twin.fire()
    assert fenced.guest.process.wait(patient(10)) == -signal.SIGKILL
    twin.fire_again()
    assert twin.record.firing  # until the host has said that it knows
    fenced.ended()
    twin.fire_again()
    assert twin.record.firing is None


@pytest.mark.parametrize("end", [lambda side: side.parted(), lambda side: side.close()])
def test_a_primary_without_a_twin_cannot_be_ended_by_it(fenced, clock, end):
    pass_by(fenced, clock, 1)
    end(fenced)
    assert Fence(**fenced.record.fence).fire(10)
    assert fenced.guest.process.poll() is None


def test_a_primary_that_cannot_be_ended_says_why(fenced, clock):
    with Fence(**fenced.record.fence).arm(fenced.guest.process.pid):
        pass_by(fenced, clock, 1)
        [reason] = fenced.report(True).reasons
        assert str(reason).startswith("The primary cannot be ended from its peer's host: UDP port ")
    pass_by(fenced, clock, 1)
    assert fenced.report(True).reasons == []
