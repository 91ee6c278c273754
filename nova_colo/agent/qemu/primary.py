# SPDX-License-Identifier: Apache-2.0
"""The steps on a primary's QEMU: protect it, disconnect it from its peer, restore its block graph."""

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

#: Seconds that each of the last steps of a disconnect may take, and the secondary's connections.
DISCONNECT_S = 10.0


@dataclasses.dataclass(frozen=True)
class Plan:
    """The devices to replicate, and the parameters of the replication.

    :param listening: where the primary listens for the secondary
    :param exports, memory: where the secondary exports its disks and waits for the memory
    :param folder: for the sockets that connect the primary's QEMU with itself
    :param limits: of the memory transfer
    """

    disks: Sequence[Disk]
    nics: Sequence[Nic]
    listening: netfilter.Listening
    exports: Endpoint
    memory: Endpoint
    folder: str
    limits: migration.Limits


def protect(replica: Replica, plan: Plan, check: Callable[[], None]) -> float:
    """Protect a running guest with a secondary that waits for it. On errors the caller rolls back.

    Replies are compared as soon as both run; a checkpoint then makes both equal. The pair is in sync only
    after that checkpoint.

    :param check: called periodically; raises to abort
    :returns: for how many milliseconds in all the guest was paused, by QEMU's clock
    :raises ReplicationError: with the first error
    """
    guest, count, began = replica.guest, len(plan.disks), replica.guest.position
    check()  # QEMU and its guest would block for minutes on a host that does not answer
    restore_graph(guest, plan.disks)
    netfilter.listen(guest, plan.listening, plan.folder)
    block.start_copies(guest, plan.disks, plan.exports)
    while (fraction := block.copy_progress(guest, count)) is not None:
        replica.set_progress(reasons.COPYING_DISKS.code, STEPS_BEFORE + 1, int(100 * fraction))
        _pause(check)
    _wait_until_connected(guest, check)

    def sending(fraction: float | None) -> None:
        replica.set_progress(reasons.SENDING_MEMORY.code, STEPS_BEFORE + 2, int(100 * (fraction or 0)))
        check()

    sending(None)
    before = guest.position
    migration.send(guest, plan.memory, replica.record.delay_ms, plan.limits)
    migration.wait_until_in_colo(guest, before, plan.limits, sending)
    pause_ms = migration.pause_ms(guest, began)
    netfilter.compare(guest, plan.nics)
    replica.on_colo_started()
    migration.checkpoint(guest, replica.record.delay_ms, sending)
    if not block.copies_run(guest, count):
        raise block.CopyError
    return pause_ms


def _wait_until_connected(guest: Guest, check: Callable[[], None]) -> None:
    """Wait until the secondary's sockets are connected; until then the link would count as down."""
    if not _until(lambda: all(netfilter.connections(guest).values()), lambda seconds: _pause(check)):
        raise ReplicationError(reasons.NOT_CONNECTED(seconds=DISCONNECT_S))


def _until(condition: Callable[[], bool], sleep: Callable[[float], None] = time.sleep) -> bool:
    """Wait until a condition holds, DISCONNECT_S seconds at most; return whether it does."""
    waiting = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda held: not held),
        wait=tenacity.wait_fixed(migration.INTERVAL),
        stop=tenacity.stop_after_delay(DISCONNECT_S),
        sleep=sleep,
        retry_error_callback=lambda state: False,
    )
    return waiting(condition)


def _pause(check: Callable[[], None]) -> None:
    check()
    time.sleep(migration.INTERVAL)


@contextlib.contextmanager
def stopped(guest: Guest) -> Iterator[None]:
    """Stop the guest of an unprotected server for some milliseconds."""
    runs = migration.is_running(guest)
    try:
        if runs:
            guest("stop")
        yield
    finally:
        # a guest whose graph is being changed must not run: it would write to a placeholder
        if runs and not block.is_interrupted(guest):
            before = guest.position
            guest("cont")
            # its RESUME must not be taken for a checkpoint's
            guest.wait_for_event(lambda event: event.name == "RESUME", before, 1.0)


def disconnect(replica: Replica) -> None:
    """Disconnect a primary from its peer at any stage of protection, and run it unprotected. May be repeated.

    :raises ReplicationError: when its guest does not run afterwards
    """
    guest = replica.guest
    replica.peer.shut_down_connections()
    migration.disconnect(guest)
    netfilter.remove_primary_filters(guest)
    migration.cancel(guest)
    if migration.is_in_colo(guest):
        migration.exit_colo(guest, DISCONNECT_S)
    if block.has_remote(guest):
        with stopped(guest):  # see block.start_copies
            block.detach_remote(guest)
            _until(lambda: block.remove_remote(guest))
    netfilter.stop_listening(guest)
    tls.unload(guest)
    if not _until(lambda: _runs(guest)):
        raise ReplicationError(reasons.DISCONNECTED_NOT_RUNNING(seconds=DISCONNECT_S))
    if not _until(lambda: migration.reset_capabilities(guest)):
        # a migration that is still connecting ends when TCP gives up; no other can start until then
        LOG.warning("The migration of server %s has not ended: %s", guest.uuid, guest("query-migrate"))


def _runs(guest: Guest) -> bool:
    """Return whether a guest runs; resume one that was stopped for a pair that was not completed."""
    if migration.is_running(guest):
        return True
    if block.is_interrupted(guest):
        return False
    with contextlib.suppress(MonitorError):  # a cancelled migration is still ending
        guest("cont")
    return False


def restore_graph(guest: Guest, disks: Sequence[Disk]) -> None:
    """Make the devices of an unprotected guest write to their disks directly, as before it was protected.

    :raises ReplicationError: when what it wrote as a secondary is not committed yet
    """
    if block.is_flat(guest, disks):
        return
    if not block.is_committed(guest, disks):
        raise ReplicationError(reasons.DISKS_INCOMPLETE())
    with stopped(guest):
        block.flatten(guest, disks)
