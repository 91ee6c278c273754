# SPDX-License-Identifier: Apache-2.0
"""The guests' image as a bootable disk, for Glance."""

import hashlib
import struct
import tempfile
from pathlib import Path

from lab.core.command import run
from lab.guest.image import GuestImage

EMULATOR = Path(__file__).parent / "emulator.sh"
SECTOR = 512
#: Start of the file system, behind the block that the guest's service writes.
BEGIN = 2 << 20
SIZE = 48 << 20
MBR = Path("/usr/lib/syslinux/mbr/mbr.bin")
#: Type and flag of the partition: FAT16 with LBA, bootable.
FAT16, ACTIVE = 0x0E, 0x80
PARTITION_TABLE = 446

CONFIG = """\
DEFAULT guest
PROMPT 0
LABEL guest
  KERNEL vmlinuz
  INITRD initrd
  APPEND console=ttyS0 quiet checked_pages=64
"""


def ensure(image: GuestImage) -> Path:
    """Return a raw disk with a boot loader and the guest's kernel and ramdisk. Create it if it is missing."""
    disk = _folder(image) / "disk.raw"
    if not disk.exists():
        with tempfile.TemporaryDirectory(dir=disk.parent) as temporary:
            new = Path(temporary) / "disk.raw"
            _make(new, image, Path(temporary))
            new.rename(disk)
    return disk


def _folder(image: GuestImage) -> Path:
    """Return the folder of the files that the present sources create from an image."""
    digest = hashlib.sha256(EMULATOR.read_bytes() + Path(__file__).read_bytes()).hexdigest()[:12]
    folder = image.folder / f"real-{digest}"
    folder.mkdir(exist_ok=True)
    return folder


def _make(disk: Path, image: GuestImage, folder: Path) -> None:
    with disk.open("wb") as handle:
        handle.truncate(SIZE)
        handle.write(MBR.read_bytes()[:PARTITION_TABLE])
        begin, sectors = BEGIN // SECTOR, (SIZE - BEGIN) // SECTOR
        no_cylinders = b"\xfe\xff\xff"  # current boot loaders use the sector numbers
        entry = struct.pack("<B3sB3sII", ACTIVE, no_cylinders, FAT16, no_cylinders, begin, sectors)
        handle.seek(PARTITION_TABLE)
        handle.write(entry)
        handle.seek(SECTOR - 2)
        handle.write(b"\x55\xaa")
    config = folder / "syslinux.cfg"
    config.write_text(CONFIG)
    partition = f"{disk}@@{BEGIN}"
    run("mformat", "-i", partition, "-T", str(sectors), "-h", "255", "-s", "63", "-H", str(begin), "::")
    run("mcopy", "-i", partition, str(image.kernel), "::vmlinuz")
    run("mcopy", "-i", partition, str(image.initrd), "::initrd")
    run("mcopy", "-i", partition, str(config), "::syslinux.cfg")
    run("syslinux", "--install", "--offset", str(BEGIN), str(disk))


def emulator(image: GuestImage) -> Path:
    """Return the folder of the program to use in place of QEMU without KVM. Create it if it is missing."""
    program = _folder(image) / "emulator" / "qemu-system-x86_64"
    program.parent.mkdir(exist_ok=True)
    if not program.exists():
        with tempfile.TemporaryDirectory(dir=program.parent.parent) as temporary:
            new = Path(temporary) / program.name
            new.write_text(EMULATOR.read_text().replace("@shim@", str(image.tcg_shim)))
            new.chmod(0o755)
            new.rename(program)
    return program.parent
