# SPDX-License-Identifier: Apache-2.0
"""The migration of a pair that never ends: begin it, change its pace, and part.

A side that has lost the other stands still until it is told x-colo-lost-heartbeat: only who has the grant tells it.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any

from nova_colo.agent.replication import ReplicationError
from nova_colo.agent.replication.qemu.monitor import Event, Guest, MonitorError
from nova_colo.agent.replication.qemu.names import FAR, PREFIX, kind

CAPABILITIES = [{"capability": name, "state": True} for name in ("x-colo", "events")]
#: Seconds between two looks.
INTERVAL = 0.05


def is_in_colo(guest: Guest) -> bool:
    """Return whether QEMU is in COLO, be it that it waits for a twin that it has lost."""
    return guest("query-migrate").get("status") == "colo" or guest("query-colo-status")["mode"] != "none"


def wait_incoming(guest: Guest, address: str, port: int) -> None:
    """Let a secondary wait for the primary's memory."""
    guest("migrate-set-capabilities", {"capabilities": CAPABILITIES})
    guest("migrate-incoming", {"uri": f"tcp:{_host(address)}:{port}"})


def send(guest: Guest, address: str, port: int, delay_ms: int, max_bandwidth: int) -> None:
    """Begin to send a primary's memory, and go over to COLO by itself."""
    guest("migrate-set-capabilities", {"capabilities": CAPABILITIES})
    guest("migrate-set-parameters", {"max-bandwidth": max_bandwidth, "x-checkpoint-delay": delay_ms})
    guest("migrate", {"uri": f"tcp:{_host(address)}:{port}"})


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def wait_until_in_step(guest: Guest, after: int, timeout: float, go_on: Callable[[], None]) -> float | None:
    """Wait until primary and secondary run in step.

    :param after: number of the event before the memory was sent
    :param timeout: seconds
    :param go_on: raises when it is not to go on; called now and then
    :returns: when the guest ran again, by QEMU's clock; None when that was not heard
    :raises ReplicationError: when the memory could not be sent
    """

    def ended(event: Event) -> bool:
        return event.name == "MIGRATION" and event.data["status"] in ("colo", "failed", "cancelled")

    deadline = time.monotonic() + timeout
    while (event := guest.wait_for_event(ended, after, 10 * INTERVAL)) is None and time.monotonic() < deadline:
        go_on()
    if event is None or event.data["status"] != "colo":
        said = guest("query-migrate").get("error-desc", "no reason was given")
        raise ReplicationError(f"The guest's memory could not be sent to the secondary: {said}.")
    resumed = guest.wait_for_event(lambda event: event.name == "RESUME", event.number, timeout)
    if resumed is None and not is_running(guest):
        raise ReplicationError("The guest did not run on after its memory was sent.")
    return resumed.at if resumed else None


def set_delay(guest: Guest, delay_ms: int) -> None:
    """Set how long a primary waits without a mismatch until it takes a checkpoint. One is taken at once."""
    guest("migrate-set-parameters", {"x-checkpoint-delay": delay_ms})


def is_running(guest: Guest) -> bool:
    """Return whether the guest's processors run."""
    return guest("query-status")["running"]


def cut(guest: Guest) -> None:
    """Close every socket to the other side at once.

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
    """Let a side run that has parted from the other.

    :returns: for how many milliseconds it had stood still since it lost the other, by QEMU's clock; None when it had not
    :raises ReplicationError: when it does not run within ``timeout`` seconds
    """
    before = guest.position
    lost = guest.wait_for_event(lambda event: event.name == "COLO_EXIT", before - 8, 0)
    if is_in_colo(guest):
        with contextlib.suppress(MonitorError):  # COLO has ended by itself meanwhile
            guest("x-colo-lost-heartbeat")
    resumed = guest.wait_for_event(lambda event: event.name == "RESUME", before, timeout if not is_running(guest) else 0.2)
    if not is_running(guest):
        raise ReplicationError(f"The guest does not run {timeout:g} s after it was told to go on alone.")
    return max(resumed.at - lost.at, 0.0) * 1000 if resumed and lost else None


def stand_still(guest: Guest, delay_ms: int, timeout: float) -> None:
    """Let a primary lose its secondary, so that it answers nobody, and stop it.

    To stop it first would break a checkpoint that is under way: the next one finds the link cut, and COLO ends.

    :param delay_ms: its x-checkpoint-delay, which is set again since that forces a checkpoint
    :param timeout: seconds
    """
    before = guest.position
    if is_in_colo(guest):
        cut(guest)
        set_delay(guest, delay_ms)
        guest.wait_for_event(lambda event: event.name == "COLO_EXIT", before, timeout)
    guest("stop")


def cancel(guest: Guest) -> None:
    """End a migration that has not become COLO. Nothing is done when there is none."""
    if guest("query-migrate").get("status") in ("setup", "active", "pre-switchover", "device"):
        guest("migrate_cancel")
