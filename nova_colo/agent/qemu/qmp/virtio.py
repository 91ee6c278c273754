# SPDX-License-Identifier: Apache-2.0
"""Virtio devices that remain disabled in a secondary's QEMU.

QEMU has a flag for a virtio device that may not use the guest's memory, as while the guest boots. A
checkpoint carries the flag only where it is set (hw/virtio/virtio.c: virtio_disabled_needed). A secondary
that has once received the flag, or whose own guest was booting, therefore keeps it: its NIC neither receives
nor sends, even after a failover.

The QEMU of an FT server never sets the flag (nova_colo.emulator_options). One that was started before it was
protected may send it: then the secondary is reset, which clears the flag, and the next checkpoint makes it
equal to the primary again.
"""

from nova_colo.agent.qemu.qmp.client import Guest

DRIVER_OK = "VIRTIO_CONFIG_S_DRIVER_OK"


def disabled_devices(guest: Guest) -> list[str]:
    """Return the names of the devices that the guest uses but QEMU has disabled."""
    return [device["name"] for device in guest("x-query-virtio") if _is_disabled(guest, device["path"])]


def _is_disabled(guest: Guest, path: str) -> bool:
    device_status = guest("x-query-virtio-status", {"path": path})
    return device_status["disabled"] and any(
        status.startswith(DRIVER_OK) for status in device_status["status"]["statuses"]
    )


def reset(guest: Guest) -> None:
    """Clear the flags of a secondary by a reset. Its guest's state is lost until the next checkpoint."""
    guest("system_reset")
