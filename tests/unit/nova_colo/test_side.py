# SPDX-License-Identifier: Apache-2.0
"""What one side of a pair of QEMUs makes of what it hears, and of what it does not."""

import itertools

import pytest

from nova_colo.agent.replication.qemu import side as sides
from nova_colo.agent.replication.qemu.monitor import Event
from nova_colo.agent.replication.qemu.record import Record, Stage
from nova_colo.pair import hybrid, link

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
    """A QEMU whose sockets are connected."""

    def __init__(self):
        self.objects = ["colo-agrees0"]

    def __call__(self, command, arguments=None):
        match command:
            case "query-chardev":
                return [{"label": "colo-mirror0", "filename": "tcp:"}]
            case "qom-list":
                return [{"name": name} for name in self.objects]
            case "object-add":
                self.objects.append(arguments["id"])
            case "object-del":
                self.objects.remove(arguments["id"])
        return []


class Reach:
    def age(self, address):
        return 0.0


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(sides, "time", clock)
    return clock


def make_side(stage, primary=True):
    record = Record("s-1", primary=primary, stage=stage, ports=[], peer="192.0.2.2", delay_ms=int(1000 * DELAY_S))
    made = sides.Side(record, Guest(), Reach(), lambda: made.there, lambda record: None, hybrid.Rule(), link.Thresholds())
    made.there = True
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
    assert found.link_up is False and "Replication is stuck" in found.reasons[0]


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
    monkeypatch.setattr(sides.network, "connections", silent)
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
