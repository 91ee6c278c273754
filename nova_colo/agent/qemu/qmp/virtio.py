# SPDX-License-Identifier: Apache-2.0
"""Virtio devices that a secondary's QEMU leaves switched off.

QEMU has a flag for a device that may not use the guest's memory, as those of a guest that boots. A checkpoint has the flag where
it is set, and says nothing of it where it is not (hw/virtio/virtio.c: virtio_disabled_needed). So a secondary that has once got
it, or whose own guest was booting, has it for good: its network card is deaf and mute, also after a failover.

An FT server's QEMU does without the flag (nova_colo.emulator_options). One that was started before may send it: then the
secondary is reset, which clears it, and is what the primary is again from the next checkpoint on.
"""

from nova_colo.agent.qemu.qmp.client import Guest

DRIVER_OK = "VIRTIO_CONFIG_S_DRIVER_OK"


def switched_off(guest: Guest) -> list[str]:
    """Return the names of the devices that the guest works with, but QEMU does not."""
    return [device["name"] for device in guest("x-query-virtio") if _is_off(guest, device["path"])]


def _is_off(guest: Guest, path: str) -> bool:
    seen = guest("x-query-virtio-status", {"path": path})
    return seen["disabled"] and any(status.startswith(DRIVER_OK) for status in seen["status"]["statuses"])


def reset(guest: Guest) -> None:
    """Clear the flags of a secondary, whose guest is lost until the next checkpoint."""
    guest("system_reset")
