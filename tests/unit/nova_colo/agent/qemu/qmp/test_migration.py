# SPDX-License-Identifier: Apache-2.0
"""A guest is paused for its protection only when little of its memory is left to be sent."""

import types

import pytest

from nova_colo.agent.qemu.qmp import migration
from nova_colo.agent.replication import ReplicationError
from nova_colo.pair import reasons

MB = 1_000_000
DOWNTIME_S, CONVERGENCE_S = 1.0, 60.0


class Guest:
    """A QEMU that sends a guest's memory, as a model.

    :param ram: bytes of memory
    :param rate: bytes sent per second
    :param dirtied: bytes that the guest changes per second
    """

    position, uuid = 0, "s"

    def __init__(self, clock, ram, rate, dirtied):
        self.clock, self.ram, self.rate, self.dirtied = clock, ram, rate, dirtied
        self.remaining, self.dirty = float(ram), 0.0
        self.transferred, self.syncs, self.commands = 0.0, 1, []

    def wait_for_event(self, wanted, after, timeout):
        self.clock.now += timeout
        if not self.rate:
            return None
        self.transferred += self.rate * timeout
        self.remaining -= self.rate * timeout
        self.dirty = min(self.ram, self.dirty + self.dirtied * timeout)
        if self.remaining <= 0:
            self.remaining, self.dirty, self.syncs = self.dirty, 0.0, self.syncs + 1
            if self.remaining <= DOWNTIME_S * self.rate:
                return types.SimpleNamespace(name="MIGRATION", data={"status": "colo"}, number=1)
        return None

    def __call__(self, command, arguments=None):
        self.commands.append(command)
        figures = {"total": self.ram, "remaining": self.remaining, "transferred": self.transferred}
        return {"status": "active", "ram": figures | {"dirty-sync-count": self.syncs}}


@pytest.fixture
def clock(monkeypatch):
    clock = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr(migration, "time", types.SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def send(guest, stall_s=migration.STALL_S):
    """Return the fractions that were reported as progress, or the error."""
    limits = migration.Limits(10**10, DOWNTIME_S, CONVERGENCE_S, stall_s)
    fractions = []
    try:
        migration.wait_until_in_colo(guest, 0, limits, fractions.append)
    except ReplicationError as error:
        return error.reason
    finally:
        assert "stop" not in guest.commands
    return fractions


@pytest.mark.parametrize(
    ("ram", "rate", "dirtied"),
    [
        (128 * MB, 100 * MB, 0),
        (64_000 * MB, 100 * MB, 0),  # a quarter of an hour, and each second of it brings progress
        (64_000 * MB, 1000 * MB, 500 * MB),
        (64_000 * MB, 100 * MB, 25 * MB),  # the second pass alone takes longer than the limit
    ],
)
def test_a_guest_of_any_size_is_sent_while_it_runs(clock, ram, rate, dirtied):
    fractions = send(Guest(clock, ram, rate, dirtied))
    assert fractions[-1] > fractions[0]


@pytest.mark.parametrize(
    ("ram", "rate", "dirtied"), [(16_000 * MB, 100 * MB, 110 * MB), (256 * MB, 10 * MB, 50 * MB)]
)
def test_a_guest_that_changes_too_much_is_given_up_and_was_never_paused(clock, ram, rate, dirtied):
    reason = send(Guest(clock, ram, rate, dirtied))
    assert reason.code == "memory_not_converged" and clock.now < 2 * ram / rate + 2 * CONVERGENCE_S


@pytest.mark.parametrize("stall_s", [migration.STALL_S, 60.0])
def test_a_transfer_without_progress_is_given_up(clock, stall_s):
    assert send(Guest(clock, 128 * MB, 0, 0), stall_s) == reasons.MEMORY_STALLED(seconds=stall_s)
    assert stall_s < clock.now < stall_s + 1
