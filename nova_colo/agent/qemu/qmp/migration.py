# SPDX-License-Identifier: Apache-2.0
"""The migration of a pair, which never ends: start it, change its checkpoint parameters, leave COLO.

A replica that has lost its peer stays paused until it gets x-colo-lost-heartbeat, which is sent to the holder
of the grant only.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable
from typing import Any

from oslo_log import log as logging

from nova_colo.agent.qemu.endpoint import Endpoint
from nova_colo.agent.qemu.qmp.client import Event, Guest, MonitorError, SilentError
from nova_colo.agent.qemu.qmp.names import PEER_SOCKETS, PREFIX, kind
from nova_colo.agent.replication import ReplicationError
from nova_colo.pair import reasons

LOG = logging.getLogger(__name__)

NO_TLS = {"tls-creds": ""}
#: QEMU's default of downtime-limit.
DOWNTIME_MS = 300
#: The rest of the memory counts as less when it is so much of what it was.
MUCH_LESS = 0.9
#: Seconds between two polls.
INTERVAL = 0.05
#: Seconds without progress after which the memory transfer counts as stalled.
STALL_S = 10.0
#: Seconds that each of the first two checkpoints may take; the guest is paused meanwhile.
CHECKPOINT_S = 10.0
#: Seconds that the final checkpoint before a planned failover may take. The failover continues without it.
FINAL_S = 2.0


def is_in_colo(guest: Guest) -> bool:
    """Return whether QEMU is in COLO, including while it waits for a lost peer."""
    return guest("query-migrate").get("status") == "colo" or guest("query-colo-status")["mode"] != "none"


def wait_incoming(guest: Guest, where: Endpoint) -> None:
    """Make a secondary wait for the primary's memory."""
    _set_colo_capability(guest, True)
    guest("migrate-set-parameters", NO_TLS | where.listens)
    guest("migrate-incoming", {"uri": where.uri})


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of a memory transfer.

    :param bandwidth: bytes per second
    :param downtime_s: seconds for which the guest may be paused at its end
    :param convergence_s: seconds within which the transfer must converge once all memory was sent, counted
        from the last progress
    :param stall_s: seconds without progress after which the transfer counts as stalled
    """

    bandwidth: int
    downtime_s: float
    convergence_s: float
    stall_s: float = STALL_S


def send(guest: Guest, where: Endpoint, delay_ms: int, limits: Limits) -> None:
    """Start to send a primary's memory. QEMU enters COLO by itself once the memory is sent."""
    _set_colo_capability(guest, True)
    parameters = {
        "max-bandwidth": limits.bandwidth,
        "downtime-limit": round(1000 * limits.downtime_s),
        "x-checkpoint-delay": delay_ms,
    }
    guest("migrate-set-parameters", parameters | NO_TLS | where.connects)
    guest("migrate", {"uri": where.uri})


def _set_colo_capability(guest: Guest, wanted: bool) -> None:
    states = {"x-colo": wanted, "events": True}
    guest(
        "migrate-set-capabilities",
        {"capabilities": [{"capability": name, "state": on} for name, on in states.items()]},
    )


def reset_capabilities(guest: Guest) -> bool:
    """Make the next migration of a disconnected replica an ordinary one.

    libvirt does not know COLO and would not reset the capability.

    :returns: False while COLO is still ending
    """
    try:
        _set_colo_capability(guest, False)
        guest("migrate-set-parameters", NO_TLS | {"downtime-limit": DOWNTIME_MS})
    except MonitorError:
        return False
    return True


def wait_until_in_colo(
    guest: Guest, after: int, limits: Limits, check: Callable[[float | None], None]
) -> None:
    """Wait until all memory is sent and both primary and secondary run.

    The guest runs until QEMU can send what is left of its memory within the allowed downtime. However long it
    takes to send all of it once, what it has changed meanwhile must then become less and less.

    :param after: number of the event before the memory was sent
    :param check: called periodically with the fraction of the memory that has been sent, from 0 to 1; raises
        to abort
    :raises ReplicationError: when the memory could not be sent
    """

    def ended(event: Event) -> bool:
        return event.name == "MIGRATION" and event.data["status"] in ("colo", "failed", "cancelled")

    moved_at = less_at = time.monotonic()
    sent, syncs, least = 0, 1, None
    while (event := guest.wait_for_event(ended, after, 4 * INTERVAL)) is None:
        memory = _memory(guest)
        check(1 - memory["remaining"] / memory["total"] if memory and memory["total"] else None)
        now = time.monotonic()
        if memory and memory["transferred"] > sent:
            sent, moved_at = memory["transferred"], now
        if now - moved_at > limits.stall_s:
            raise ReplicationError(reasons.MEMORY_STALLED(seconds=limits.stall_s))
        if not memory or memory["dirty-sync-count"] <= syncs:
            continue
        # all was sent once more, and the rest has been changed meanwhile
        syncs, rest = memory["dirty-sync-count"], memory["remaining"]
        if rest < MUCH_LESS * (least or memory["total"]):
            least, less_at = rest, now
        elif now - less_at > limits.convergence_s:
            raise ReplicationError(
                reasons.MEMORY_NOT_CONVERGED(seconds=limits.convergence_s, downtime=limits.downtime_s)
            )
    if event.data["status"] != "colo":
        text = guest("query-migrate").get("error-desc", "no reason was given")
        raise ReplicationError(reasons.MEMORY_NOT_SENT(text=text))
    _wait_until_running(guest, event.number, check)


def _memory(guest: Guest) -> dict[str, int] | None:
    """Return the figures of a memory transfer; None when there are none."""
    try:
        return guest("query-migrate").get("ram")
    except SilentError:
        return None  # QEMU answers nothing while it sends the rest


def checkpoint(guest: Guest, delay_ms: int, check: Callable[[float | None], None]) -> None:
    """Force a checkpoint and wait until it is over.

    :param delay_ms: x-checkpoint-delay; QEMU takes a checkpoint whenever it is set
    :param check: called periodically; raises to abort
    :raises ReplicationError: when it is not over in time
    """
    before = guest.position
    set_delay(guest, delay_ms)
    _wait_until_running(guest, before, check)


def _wait_until_running(guest: Guest, after: int, check: Callable[[float | None], None]) -> None:
    deadline = time.monotonic() + CHECKPOINT_S
    while guest.wait_for_event(lambda event: event.name == "RESUME", after, 4 * INTERVAL) is None:
        if time.monotonic() > deadline:
            raise ReplicationError(reasons.NOT_RESUMED())
        check(1.0)


def pause_ms(guest: Guest, since: int) -> float:
    """Return for how many milliseconds in all a guest was paused, by QEMU's clock.

    :param since: number of an event at which the guest ran; only later pauses count
    """
    total, stopped_at = 0.0, None
    for event in guest.since(since):
        if event.name == "STOP":
            stopped_at = event.at
        elif event.name == "RESUME" and stopped_at is not None:
            total, stopped_at = total + event.at - stopped_at, None
    return 1000 * total


def set_delay(guest: Guest, delay_ms: int) -> None:
    """Set for how long a primary waits without a mismatch before it takes a checkpoint.

    QEMU takes a checkpoint at once.
    """
    guest("migrate-set-parameters", {"x-checkpoint-delay": delay_ms})


def is_running(guest: Guest) -> bool:
    """Return whether the guest's CPUs run."""
    return guest("query-status")["running"]


def disconnect(guest: Guest) -> None:
    """Close every socket to the peer at once.

    This must come before every other step: each would wait for minutes for a peer that does not answer.
    """
    wanted = [instance for instance in guest("query-yank") if _leads_to_peer(instance)]
    if wanted:
        guest("yank", {"instances": wanted})


def _leads_to_peer(instance: dict[str, Any]) -> bool:
    match instance["type"]:
        case "migration":
            return True
        case "block-node":
            return instance["node-name"].startswith(PREFIX)
        case "chardev":
            return kind(instance["id"]) in PEER_SOCKETS
    return False


def exit_colo(guest: Guest, timeout: float) -> float | None:
    """Resume a replica without its peer.

    :returns: for how many milliseconds it was paused since it lost the peer, by QEMU's clock; None when it
        was not
    :raises ReplicationError: when it does not run within ``timeout`` seconds
    """
    before = guest.position
    lost = guest.wait_for_event(lambda event: event.name == "COLO_EXIT", before - 8, 0)
    if is_in_colo(guest):
        with contextlib.suppress(MonitorError):  # COLO has ended meanwhile
            guest("x-colo-lost-heartbeat")
    resumed = guest.wait_for_event(
        lambda event: event.name == "RESUME", before, timeout if not is_running(guest) else 0.2
    )
    if not is_running(guest):
        raise ReplicationError(reasons.UNPROTECTED_NOT_RUNNING(seconds=timeout))
    return max(resumed.at - lost.at, 0.0) * 1000 if resumed and lost else None


def stop_primary(guest: Guest, delay_ms: int, timeout: float) -> None:
    """Disconnect a primary from its secondary, so that it sends no replies, and stop it.

    First the two take a final checkpoint: a connection that was opened since the last one has other sequence
    numbers on the secondary, which its rewriter hides for one failover, but not for the next. Stopping the
    primary first would break a checkpoint in progress; after the disconnect the next checkpoint fails
    instead, and COLO ends.

    :param delay_ms: its x-checkpoint-delay, set again to force a checkpoint
    :param timeout: seconds
    """
    if is_in_colo(guest):
        _take_final_checkpoint(guest, delay_ms)
    if is_in_colo(guest):
        before = guest.position
        disconnect(guest)
        set_delay(guest, delay_ms)
        guest.wait_for_event(lambda event: event.name == "COLO_EXIT", before, timeout)
    guest("stop")


def _take_final_checkpoint(guest: Guest, delay_ms: int) -> None:
    before = guest.position
    set_delay(guest, delay_ms)
    # a checkpoint in progress is not the forced one
    begun = guest.wait_for_event(lambda event: event.name in ("STOP", "COLO_EXIT"), before, FINAL_S)
    ended = begun and guest.wait_for_event(
        lambda event: event.name in ("RESUME", "COLO_EXIT"), begun.number - 1, FINAL_S
    )
    if ended is None:
        LOG.warning(
            "The final checkpoint of server %s timed out; the failover continues without it.", guest.uuid
        )


def cancel(guest: Guest) -> None:
    """Cancel a migration that has not entered COLO; no error when there is none."""
    if guest("query-migrate").get("status") in ("setup", "active", "pre-switchover", "device"):
        guest("migrate_cancel")
