# SPDX-License-Identifier: Apache-2.0
"""What is done to a primary's QEMU: protect it, part from its twin, leave no trace."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence

import tenacity
from oslo_log import log as logging

from nova_colo.agent.qemu import tls
from nova_colo.agent.qemu.domain_xml import Disk, Nic
from nova_colo.agent.qemu.endpoint import Endpoint
from nova_colo.agent.qemu.qmp import block, migration, netfilter
from nova_colo.agent.qemu.qmp.client import Guest, MonitorError
from nova_colo.agent.qemu.replica import STEPS_BEFORE, Replica
from nova_colo.agent.replication import ReplicationError
from nova_colo.pair import reasons

LOG = logging.getLogger(__name__)

#: Seconds that the last steps of a parting, and the secondary's connections, may take.
PART_S = 10.0


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to make a pair of, and how.

    :param listening: where the primary listens for the secondary
    :param exports, memory: where the secondary offers its disks and waits for the memory
    :param folder: for the sockets with which the primary's QEMU talks to itself
    :param max_bandwidth: bytes per second
    :param patience: seconds that the guest may run while its memory is sent
    """

    disks: Sequence[Disk]
    nics: Sequence[Nic]
    listening: netfilter.Listening
    exports: Endpoint
    memory: Endpoint
    folder: str
    max_bandwidth: int
    patience: float


def protect(replica: Replica, plan: Plan, go_on: Callable[[], None]) -> float:
    """Make a pair of a guest that runs, with a secondary that waits for it; what was begun is the caller's to undo.

    Replies are compared from when both run; a checkpoint then makes them the same again. Until it is over there is no pair.

    :param go_on: raises when it is not to go on; called now and then
    :returns: for how many milliseconds the guest stood still in all, by QEMU's clock
    :raises ReplicationError: with the first error
    """
    guest, count, began = replica.guest, len(plan.disks), replica.guest.position
    go_on()  # QEMU, and its guest, would wait for minutes for a host that does not answer
    if block.needs_quorum(guest, plan.disks):
        with stopped(guest):
            block.put_quorums(guest, plan.disks)
    netfilter.listen(guest, plan.listening, plan.folder)
    block.start_copies(guest, count, plan.exports)
    while (part := block.copied(guest, count)) is not None:
        replica.show(reasons.COPYING_DISKS.code, STEPS_BEFORE + 1, int(100 * part))
        _pause(go_on)
    _wait_until_connected(guest, go_on)
    with stopped(guest):
        if not _until(lambda: block.end_copies(guest), lambda seconds: _pause(go_on)):
            raise block.CopyError
        block.write_to_both(guest, count)

    def sending(part: float | None) -> None:
        replica.show(reasons.SENDING_MEMORY.code, STEPS_BEFORE + 2, int(100 * (part or 0)))
        go_on()

    sending(None)
    before = guest.position
    migration.send(guest, plan.memory, replica.record.delay_ms, plan.max_bandwidth)
    migration.wait_until_in_colo(guest, before, plan.patience, sending)
    stood_still_ms = migration.stood_still_ms(guest, began)
    netfilter.compare(guest, plan.nics)
    replica.begins()
    migration.checkpoint(guest, replica.record.delay_ms, sending)
    return stood_still_ms


def _wait_until_connected(guest: Guest, go_on: Callable[[], None]) -> None:
    """Wait for the secondary's sockets, which try again every now and then: a pair without them looks lost from the start."""
    if not _until(lambda: all(netfilter.connections(guest).values()), lambda seconds: _pause(go_on)):
        raise ReplicationError(reasons.NOT_CONNECTED(seconds=PART_S))


def _until(condition: Callable[[], bool], sleep: Callable[[float], None] = time.sleep) -> bool:
    """Wait until something holds, PART_S seconds at most; returns whether it does."""
    waiting = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda held: not held),
        wait=tenacity.wait_fixed(migration.INTERVAL),
        stop=tenacity.stop_after_delay(PART_S),
        sleep=sleep,
        retry_error_callback=lambda state: False,
    )
    return waiting(condition)


def _pause(go_on: Callable[[], None]) -> None:
    go_on()
    time.sleep(migration.INTERVAL)


@contextlib.contextmanager
def stopped(guest: Guest) -> Iterator[None]:
    """Stop a guest that is in no pair for some milliseconds."""
    runs = migration.is_running(guest)
    if runs:
        guest("stop")
    try:
        yield
    finally:
        if runs:
            before = guest.position
            guest("cont")
            guest.wait_for_event(
                lambda event: event.name == "RESUME", before, 1.0
            )  # not to be taken for a checkpoint's


def part(replica: Replica) -> None:
    """Let a primary run without its twin, however far the two had come. Nothing is done when it does.

    :raises ReplicationError: when its guest does not run afterwards
    """
    guest = replica.guest
    migration.cut(guest)
    block.drop_remote(guest)
    block.remove_remote(guest)
    netfilter.release_primary(guest)
    migration.cancel(guest)
    if migration.is_in_colo(guest):
        migration.go_on_alone(guest, PART_S)
    _until(lambda: block.remove_remote(guest))
    netfilter.stop_listening(guest)
    tls.unload(guest)
    if not _until(lambda: _runs(guest)):
        raise ReplicationError(reasons.DISCONNECTED_NOT_RUNNING(seconds=PART_S))
    if not _until(lambda: migration.forget(guest)):
        # one whose connection was just being made ends when TCP gives up; there can be no other until then
        LOG.warning("The QEMU of %s does not end its migration: %s", guest.uuid, guest("query-migrate"))


def _runs(guest: Guest) -> bool:
    """Return whether a guest runs; one that was stopped for a pair that has not come about is told to."""
    if migration.is_running(guest):
        return True
    with contextlib.suppress(MonitorError):  # a migration that was cancelled is still ending
        guest("cont")
    return False


def leave_no_trace(replica: Replica, all_disks: Sequence[Disk]) -> None:
    """Let the devices of a guest that has no twin write to their disks directly, as before it was ever protected."""
    if block.needs_quorum(replica.guest, all_disks):
        return
    with stopped(replica.guest):
        block.remove_quorums(replica.guest, all_disks)
