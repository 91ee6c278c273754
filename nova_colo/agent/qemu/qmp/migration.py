# SPDX-License-Identifier: Apache-2.0
"""The migration of a pair that never ends: begin it, change its pace, and part.

A replica that has lost the other stands still until it is told x-colo-lost-heartbeat: only who has the grant tells it.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any

from oslo_log import log as logging

from nova_colo.agent.qemu.endpoint import Endpoint
from nova_colo.agent.qemu.qmp.client import Event, Guest, MonitorError
from nova_colo.agent.qemu.qmp.names import FAR, PREFIX, kind
from nova_colo.agent.replication import ReplicationError
from nova_colo.pair import reasons

LOG = logging.getLogger(__name__)

NO_TLS = {"tls-creds": ""}
#: Seconds between two looks.
INTERVAL = 0.05
#: Seconds for which a secondary may take no memory while it is sent.
STALL_S = 10.0
#: Seconds that each of the first two synchronisations may take; the guest stands still for it.
CHECKPOINT_S = 10.0
#: Seconds that the last one before a planned failover may take; without it that goes on all the same.
LAST_S = 2.0


def is_in_colo(guest: Guest) -> bool:
    """Return whether QEMU is in COLO, be it that it waits for a twin that it has lost."""
    return guest("query-migrate").get("status") == "colo" or guest("query-colo-status")["mode"] != "none"


def wait_incoming(guest: Guest, where: Endpoint) -> None:
    """Let a secondary wait for the primary's memory."""
    _be_in_colo(guest, True)
    guest("migrate-set-parameters", NO_TLS | where.listens)
    guest("migrate-incoming", {"uri": where.uri})


def send(guest: Guest, where: Endpoint, delay_ms: int, max_bandwidth: int) -> None:
    """Begin to send a primary's memory, and go over to COLO by itself."""
    _be_in_colo(guest, True)
    pace = {"max-bandwidth": max_bandwidth, "x-checkpoint-delay": delay_ms}
    guest("migrate-set-parameters", pace | NO_TLS | where.connects)
    guest("migrate", {"uri": where.uri})


def _be_in_colo(guest: Guest, wanted: bool) -> None:
    wishes = {"x-colo": wanted, "events": True}
    guest(
        "migrate-set-capabilities",
        {"capabilities": [{"capability": name, "state": on} for name, on in wishes.items()]},
    )


def forget(guest: Guest) -> bool:
    """Let the next migration of a replica that has parted be an ordinary one: libvirt does not know COLO and would not reset it.

    :returns: False while COLO is still ending
    """
    try:
        _be_in_colo(guest, False)
        guest("migrate-set-parameters", NO_TLS)
    except MonitorError:
        return False
    return True


def wait_until_in_colo(
    guest: Guest, after: int, patience: float, go_on: Callable[[float | None], None]
) -> None:
    """Wait until all memory is sent and primary and secondary both run.

    :param after: number of the event before the memory was sent
    :param patience: seconds that the guest may run meanwhile; it stands still for what is left then, and for as long at most
    :param go_on: raises when it is not to go on; called now and then, with how much has been sent, from 0 to 1
    :raises ReplicationError: when the memory could not be sent
    """

    def ended(event: Event) -> bool:
        return event.name == "MIGRATION" and event.data["status"] in ("colo", "failed", "cancelled")

    began = moved_at = time.monotonic()
    stopped, sent = False, 0
    while (
        event := guest.wait_for_event(ended, after, 4 * INTERVAL)
    ) is None and time.monotonic() - began < 2 * patience:
        memory = guest("query-migrate").get("ram")
        go_on(1 - memory["remaining"] / memory["total"] if memory and memory["total"] else None)
        now = time.monotonic()
        if memory and memory["transferred"] > sent:
            sent, moved_at = memory["transferred"], now
        if now - moved_at > STALL_S:
            raise ReplicationError(reasons.MEMORY_STALLED(seconds=STALL_S))
        if now - began >= patience and not stopped:
            guest("stop")
            stopped = True
    if event is None or event.data["status"] != "colo":
        said = guest("query-migrate").get("error-desc", "no reason was given")
        raise ReplicationError(reasons.MEMORY_NOT_SENT(text=said))
    _wait_until_running(guest, event.number, go_on)


def checkpoint(guest: Guest, delay_ms: int, go_on: Callable[[float | None], None]) -> None:
    """Take a checkpoint and wait until it is over.

    :param delay_ms: x-checkpoint-delay, which is set anew since that forces one
    :param go_on: raises when it is not to go on
    :raises ReplicationError: when it is not over in time
    """
    before = guest.position
    set_delay(guest, delay_ms)
    _wait_until_running(guest, before, go_on)


def _wait_until_running(guest: Guest, after: int, go_on: Callable[[float | None], None]) -> None:
    deadline = time.monotonic() + CHECKPOINT_S
    while guest.wait_for_event(lambda event: event.name == "RESUME", after, 4 * INTERVAL) is None:
        if time.monotonic() > deadline:
            raise ReplicationError(reasons.NOT_RESUMED())
        go_on(1.0)


def stood_still_ms(guest: Guest, since: int) -> float:
    """Return for how many milliseconds in all a guest has stood still, by QEMU's clock.

    :param since: number of an event while it ran
    """
    total, stopped_at = 0.0, None
    for event in guest.since(since):
        if event.name == "STOP":
            stopped_at = event.at
        elif event.name == "RESUME" and stopped_at is not None:
            total, stopped_at = total + event.at - stopped_at, None
    return 1000 * total


def set_delay(guest: Guest, delay_ms: int) -> None:
    """Set how long a primary waits without a mismatch until it takes a checkpoint. One is taken at once."""
    guest("migrate-set-parameters", {"x-checkpoint-delay": delay_ms})


def is_running(guest: Guest) -> bool:
    """Return whether the guest's processors run."""
    return guest("query-status")["running"]


def cut(guest: Guest) -> None:
    """Close every socket to the other replica at once.

    Before all else: one that does not answer, frozen or cut off, would let the next step wait for it for minutes.
    """
    wanted = [instance for instance in guest("query-yank") if _leads_away(instance)]
    if wanted:
        guest("yank", {"instances": wanted})


def _leads_away(instance: dict[str, Any]) -> bool:
    match instance["type"]:
        case "migration":
            return True
        case "block-node":
            return instance["node-name"].startswith(PREFIX)
        case "chardev":
            return kind(instance["id"]) in FAR
    return False


def go_on_alone(guest: Guest, timeout: float) -> float | None:
    """Let a replica run that has parted from the other.

    :returns: for how many milliseconds it had stood still since it lost the other, by QEMU's clock; None when it had not
    :raises ReplicationError: when it does not run within ``timeout`` seconds
    """
    before = guest.position
    lost = guest.wait_for_event(lambda event: event.name == "COLO_EXIT", before - 8, 0)
    if is_in_colo(guest):
        with contextlib.suppress(MonitorError):  # COLO has ended by itself meanwhile
            guest("x-colo-lost-heartbeat")
    resumed = guest.wait_for_event(
        lambda event: event.name == "RESUME", before, timeout if not is_running(guest) else 0.2
    )
    if not is_running(guest):
        raise ReplicationError(reasons.ALONE_NOT_RUNNING(seconds=timeout))
    return max(resumed.at - lost.at, 0.0) * 1000 if resumed and lost else None


def stand_still(guest: Guest, delay_ms: int, timeout: float) -> None:
    """Let a primary lose its secondary, so that it answers nobody, and stop it.

    Before that the two synchronise once more: a connection that was opened since they did last has other sequence numbers on the
    secondary, which its rewriter hides for one failover, and not for the next. To stop the primary first would break a checkpoint
    that is under way: the next one finds the link cut, and COLO ends.

    :param delay_ms: its x-checkpoint-delay, which is set again since that forces a checkpoint
    :param timeout: seconds
    """
    if is_in_colo(guest):
        _take_last(guest, delay_ms)
    if is_in_colo(guest):
        before = guest.position
        cut(guest)
        set_delay(guest, delay_ms)
        guest.wait_for_event(lambda event: event.name == "COLO_EXIT", before, timeout)
    guest("stop")


def _take_last(guest: Guest, delay_ms: int) -> None:
    before = guest.position
    set_delay(guest, delay_ms)
    # one that is under way is not the one that was asked for
    begun = guest.wait_for_event(lambda event: event.name in ("STOP", "COLO_EXIT"), before, LAST_S)
    ended = begun and guest.wait_for_event(
        lambda event: event.name in ("RESUME", "COLO_EXIT"), begun.number - 1, LAST_S
    )
    if ended is None:
        LOG.warning(
            "Server %s is failed over without a last checkpoint: it has not ended in time.", guest.uuid
        )


def cancel(guest: Guest) -> None:
    """End a migration that has not become COLO. Nothing is done when there is none."""
    if guest("query-migrate").get("status") in ("setup", "active", "pre-switchover", "device"):
        guest("migrate_cancel")
