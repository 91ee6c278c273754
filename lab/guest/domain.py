# SPDX-License-Identifier: Apache-2.0
"""A guest and its libvirt domain: a plain one without COLO, as an operator or Nova would write it.

Two workarounds in it are for TCG only, and are not needed with KVM:

* QEMU's environment preloads the library of ``guest/tcg_shim.c``, without which the primary deadlocks;
* its memory is not a multiple of 256 KiB, since the secondary's memory is corrupted otherwise. libvirt rounds
  the size, so it is set by options of QEMU.
"""

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape

from lab.guest.image import GuestImage

MEMORY_KIB = 128 * 1024
EMULATED_KIB = MEMORY_KIB + 8
NAMESPACE = uuid.UUID("8f1d7c0e-55f0-4f4e-9d0c-6f6c6a1c9f52")

DOMAIN = """\
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='KiB'>{memory}</memory>
  <vcpu>{vcpus}</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>{arguments}</cmdline>
  </os>
  <features><acpi/><apic/></features>
  <cpu mode='custom' match='exact'><model>qemu64</model></cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
{devices}
    <controller type='usb' model='none'/>
    <serial type='file'><source path='{console}'/></serial>
    <memballoon model='none'/>
  </devices>
  <qemu:commandline>
    <qemu:arg value='-m'/><qemu:arg value='size={emulated}k'/>
    <qemu:arg value='-object'/><qemu:arg value='memory-backend-ram,id=emulated.ram,size={emulated}k'/>
    <qemu:arg value='-machine'/><qemu:arg value='memory-backend=emulated.ram'/>
    <qemu:env name='LD_PRELOAD' value='{shim}'/>
  </qemu:commandline>
</domain>
"""

DISK = """\
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none'/>
      <source file='{path}'/>
      <target dev='{device}' bus='{bus}'/>
    </disk>"""

NIC = """\
    <interface type='bridge'>
      <mac address='{mac}'/>
      <source bridge='br-guest'/>
      <model type='virtio'/>
      <driver name='qemu'/>
    </interface>"""


@dataclass(frozen=True)
class Guest:
    """A guest.

    :ivar number: last part of its addresses, 16 to 254; unique in a testbed
    :ivar disks: number of disks
    :ivar bus: bus of the disks
    :ivar nics: number of NICs, 1 to 4
    :ivar checked_pages: number of memory pages that are rewritten and checked continuously
    :ivar arguments: additional kernel arguments
    """

    name: str
    number: int = 100
    disks: int = 1
    bus: Literal["virtio", "scsi"] = "virtio"
    nics: int = 1
    vcpus: int = 1
    disk_bytes: int = 64 << 20
    checked_pages: int = 0
    arguments: str = ""

    @property
    def uuid(self) -> str:
        """Its UUID, derived from its name."""
        return str(uuid.uuid5(NAMESPACE, self.name))

    @property
    def address(self) -> str:
        """The address of its first NIC."""
        return self.addresses[0]

    @property
    def addresses(self) -> list[str]:
        """The addresses of its NICs, derived from their MAC addresses, each in its own subnet."""
        return [f"10.77.{nic}.{self.number}" for nic in range(self.nics)]

    @property
    def macs(self) -> list[str]:
        """The MAC addresses of its NICs."""
        return [f"fa:16:3e:4d:{nic:02x}:{self.number:02x}" for nic in range(self.nics)]

    def disk_paths(self, instances: Path) -> list[Path]:
        """Return the raw files of its disks, as paths inside its hosts."""
        names = ["disk", *(f"disk.{number}" for number in range(1, self.disks))]
        return [instances / self.uuid / name for name in names]

    def console_path(self, instances: Path) -> Path:
        """Return the log of its serial console, as a path inside its hosts."""
        return instances / self.uuid / "console.log"


def domain_xml(guest: Guest, image: GuestImage, instances: Path) -> str:
    """Return the domain of a guest with its files below ``instances``."""
    values = {
        "name": guest.name,
        "uuid": guest.uuid,
        "memory": MEMORY_KIB,
        "emulated": EMULATED_KIB,
        "vcpus": guest.vcpus,
        "kernel": image.kernel,
        "initrd": image.initrd,
        "arguments": f"console=ttyS0 quiet checked_pages={guest.checked_pages} {guest.arguments}".rstrip(),
        "console": guest.console_path(instances),
        "shim": image.tcg_shim,
    }
    return DOMAIN.format(
        devices=_devices(guest, instances), **{key: escape(str(value)) for key, value in values.items()}
    )


def _devices(guest: Guest, instances: Path) -> str:
    prefix = {"virtio": "vd", "scsi": "sd"}[guest.bus]
    devices = [
        DISK.format(path=escape(str(path)), device=f"{prefix}{chr(ord('a') + number)}", bus=guest.bus)
        for number, path in enumerate(guest.disk_paths(instances))
    ]
    if guest.bus == "scsi":
        devices.append("    <controller type='scsi' model='virtio-scsi'/>")
    devices += [NIC.format(mac=mac) for mac in guest.macs]
    return "\n".join(devices)
