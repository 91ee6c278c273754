# SPDX-License-Identifier: Apache-2.0
"""Virtio devices that remain disabled or broken in a secondary's QEMU.

QEMU has a flag for a virtio device that may not use the guest's memory, as while the guest boots. A
checkpoint carries the flag only where it is set (hw/virtio/virtio.c: virtio_disabled_needed). A secondary
that has once received the flag, or whose own guest was booting, therefore keeps it: its NIC neither receives
nor sends, even after a failover.

The QEMU of an FT server never sets the flag (nova_colo.emulator_options). One that was started before it was
protected may send it.

Another flag marks a device whose driver has misbehaved. A secondary's own guest may seem to while it boots,
since a checkpoint changes its memory and devices under it. The flag is carried and kept in the same way
(virtio_broken_needed).

In both cases the secondary is reset, which clears the flags, and the next checkpoint makes it equal to the
primary again.
"""

from nova_colo.agent.qemu.qmp.client import Guest

DRIVER_OK = "VIRTIO_CONFIG_S_DRIVER_OK"


def unusable_devices(guest: Guest) -> list[str]:
    """Return the names of the devices that the guest uses but QEMU has disabled, or takes for broken."""
    return [device["name"] for device in guest("x-query-virtio") if _is_unusable(guest, device["path"])]


def _is_unusable(guest: Guest, path: str) -> bool:
    device_status = guest("x-query-virtio-status", {"path": path})
    return (device_status["disabled"] or device_status["broken"]) and any(
        status.startswith(DRIVER_OK) for status in device_status["status"]["statuses"]
    )


def reset(guest: Guest) -> None:
    """Clear the flags of a secondary by a reset. Its guest's state is lost until the next checkpoint."""
    guest("system_reset")
