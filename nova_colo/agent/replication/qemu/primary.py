# SPDX-License-Identifier: Apache-2.0
"""What is done to a primary's QEMU: protect it, part from its twin, leave no trace."""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import tenacity

from nova_colo.agent.replication import ReplicationError
from nova_colo.agent.replication.qemu import channel, disks, network
from nova_colo.agent.replication.qemu.domain import Disk, Nic
from nova_colo.agent.replication.qemu.monitor import Guest, MonitorError
from nova_colo.agent.replication.qemu.side import STEPS_BEFORE, Side

#: Seconds that the first synchronisation, and the last steps of a parting, may take.
SYNCHRONISE_S, PART_S = 120.0, 10.0


def protect(
    side: Side,
    what: tuple[Sequence[Disk], Sequence[Nic]],
    here: network.Listening,
    secondary: dict[str, Any],
    folder: str,
    max_bandwidth: int,
    go_on: Callable[[], None],
) -> float | None:
    """Make a pair of a guest that runs, with a secondary that waits for it; what was begun is the caller's to undo.

    :param secondary: what the secondary's host has offered: address, and ports for disks and memory
    :param folder: for the sockets with which this QEMU talks to itself
    :param go_on: raises when it is not to go on; called now and then
    :returns: for how many milliseconds the guest stood still, by QEMU's clock
    :raises ReplicationError: with the first error
    """
    guest, (all_disks, nics) = side.guest, what
    address, count = secondary["address"], len(all_disks)
    go_on()  # QEMU, and its guest, would wait for minutes for a host that does not answer
    if disks.needs_quorum(guest, all_disks):
        with stopped(side):
            disks.put_quorums(guest, all_disks)
    network.listen(guest, nics, here, folder)
    disks.start_copies(guest, count, address, secondary["disks_port"])
    while (part := disks.copied(guest, count)) is not None:
        side.show("copying disks", STEPS_BEFORE + 1, int(100 * part))
        _pause(go_on)
    _wait_until_connected(guest, go_on)
    side.show("sending memory", STEPS_BEFORE + 2)
    stops = guest.position
    with stopped(side, resume=False):
        disks.end_copies(guest, count, lambda: _pause(go_on))
        disks.add_replication(guest, count, address, secondary["disks_port"])
        network.compare(guest, nics)
    before = guest.position
    side.begins()
    channel.send(guest, address, secondary["memory_port"], side.record.delay_ms, max_bandwidth)
    runs_at = channel.wait_until_in_step(guest, before, SYNCHRONISE_S, go_on)
    stop = guest.wait_for_event(lambda event: event.name == "STOP", stops, 0)
    return (runs_at - stop.at) * 1000 if runs_at and stop else None


def _wait_until_connected(guest: Guest, go_on: Callable[[], None]) -> None:
    """Wait for the secondary's sockets, which try again every now and then: a pair without them looks lost from the start."""
    if not _until(lambda: all(network.connections(guest).values()), lambda seconds: _pause(go_on)):
        raise ReplicationError(f"The secondary has not connected within {PART_S:g} s.")


def _until(condition: Callable[[], bool], sleep: Callable[[float], None] = time.sleep) -> bool:
    """Wait until something holds, PART_S seconds at most; returns whether it does."""
    waiting = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda held: not held),
        wait=tenacity.wait_fixed(channel.INTERVAL),
        stop=tenacity.stop_after_delay(PART_S),
        sleep=sleep,
        retry_error_callback=lambda state: False,
    )
    return waiting(condition)


def _pause(go_on: Callable[[], None]) -> None:
    go_on()
    time.sleep(channel.INTERVAL)


@contextlib.contextmanager
def stopped(side: Side, *, resume: bool = True) -> Any:
    """Stop a guest that is in no pair for some milliseconds.

    :param resume: let it run afterwards; on an error it runs in any case
    """
    runs = channel.is_running(side.guest)
    if runs:
        side.guest("stop")
    try:
        yield
    except BaseException:
        resume = True
        raise
    finally:
        if runs and resume:
            side.guest("cont")


def part(side: Side) -> None:
    """Let a primary run without its twin, however far the two had come. Nothing is done when it does.

    :raises ReplicationError: when its guest does not run afterwards
    """
    guest = side.guest
    channel.cut(guest)
    disks.drop_replication(guest)
    disks.remove_remote_nodes(guest)
    network.release_primary(guest)
    channel.cancel(guest)
    if channel.is_in_colo(guest):
        channel.go_on_alone(guest, PART_S)
    _until(lambda: disks.remove_remote_nodes(guest))
    network.stop_listening(guest)
    if not _until(lambda: _runs(guest)):
        raise ReplicationError(f"The guest does not run {PART_S:g} s after it was parted from its twin.")


def _runs(guest: Guest) -> bool:
    """Return whether a guest runs; one that was stopped for a pair that has not come about is told to."""
    if channel.is_running(guest):
        return True
    with contextlib.suppress(MonitorError):  # a migration that was cancelled is still ending
        guest("cont")
    return False


def leave_no_trace(side: Side, all_disks: Sequence[Disk]) -> None:
    """Let the devices of a guest that has no twin write to their disks directly, as before it was ever protected."""
    if disks.needs_quorum(side.guest, all_disks):
        return
    with stopped(side):
        disks.remove_quorums(side.guest, all_disks)
