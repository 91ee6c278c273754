# SPDX-License-Identifier: Apache-2.0
"""Check what another host asks this one to run as a secondary.

Whoever can publish on the message broker can send the description of a primary. It must not give them more
than a secondary of that server: no other files of the host, no devices of the host, no program that libvirt
would start. The lists below have what Nova writes for a server that :mod:`nova_colo.pair.eligibility` admits;
anything else is refused, not removed, since the secondary would differ from its primary.
"""

import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lxml import etree

from nova_colo.agent.qemu import domain_xml
from nova_colo.agent.replication import ReplicationError
from nova_colo.emulator_options import NAMESPACE, NO_DISABLED_FLAG, PARSER
from nova_colo.pair import reasons

ELEMENTS = frozenset(
    {
        "clock",
        "cpu",
        "cputune",
        "currentMemory",
        "description",
        "devices",
        "features",
        "genid",
        "iothreadids",
        "iothreads",
        "maxMemory",
        "memory",
        "memoryBacking",
        "memtune",
        "metadata",
        "name",
        "numatune",
        "on_crash",
        "on_poweroff",
        "on_reboot",
        "os",
        "perf",
        "pm",
        "resource",
        "seclabel",
        "sysinfo",
        "title",
        "uuid",
        "vcpu",
        "vcpus",
    }
)
DEVICES = frozenset(
    {
        "audio",
        "channel",
        "console",
        "controller",
        "disk",
        "emulator",
        "graphics",
        "input",
        "interface",
        "memballoon",
        "rng",
        "serial",
        "sound",
        "video",
        "watchdog",
    }
)
OS = frozenset(
    {
        "bios",
        "boot",
        "bootmenu",
        "cmdline",
        "firmware",
        "initrd",
        "kernel",
        "loader",
        "nvram",
        "smbios",
        "type",
    }
)
#: Types of devices that may have several.
TYPES = {
    "audio": ("none", "spice"),
    "channel": ("unix", "spicevmc"),
    "console": ("file", "pty", "tcp"),
    "disk": ("file",),
    "graphics": ("spice", "vnc"),
    "input": ("keyboard", "mouse", "tablet"),
    "interface": ("bridge", "ethernet", "network"),
    "serial": ("file", "pty", "tcp"),
}
RANDOM = frozenset({"/dev/urandom", "/dev/random", "/dev/hwrng"})
OPTIONS = frozenset({*domain_xml.WAIT, *NO_DISABLED_FLAG})
EMULATOR = re.compile(r"qemu-system-\w+|qemu-kvm|kvm|qemu-kvm-spice")
#: Where firmware may be, and libvirt's folder: for variables of firmware, and sockets of guest agents.
FIRMWARE, LIBVIRT = ("/usr/share/", "/usr/lib/"), "/var/lib/libvirt/qemu/"


def check(primary: Mapping[str, Any], server_id: str, instances_path: str) -> None:
    """Check the description of a primary.

    :param primary: as ``describe`` returned it on the primary's host
    :param instances_path: the folder in which each server has its folder
    :raises ReplicationError: when it asks for something that the secondary of this server must not have
    """
    root = etree.fromstring(primary["xml"], PARSER)
    for problem in _problems(root, primary, server_id, pathlib.Path(instances_path) / server_id):
        raise ReplicationError(reasons.DESCRIPTION_REFUSED(server=server_id, text=problem))


def _problems(
    root: etree._Element, primary: Mapping[str, Any], server_id: str, folder: pathlib.Path
) -> Iterator[str]:
    if root.findtext("uuid") != server_id:
        yield f"the id {root.findtext('uuid')}"
    if os.path.realpath(folder) != os.path.join(os.path.realpath(folder.parent), server_id):
        yield f"the folder {folder}, which is a link"
    disks = {*map(str, root.xpath("devices/disk//@file")), *(disk["path"] for disk in primary["disks"])}
    media = {medium["path"] for medium in primary["media"]}
    for path in sorted(disks | media | set(domain_xml.log_files(primary["xml"]))):
        if pathlib.Path(path).parent != folder or os.path.normpath(path) != path or os.path.islink(path):
            yield f"the file {path}, which is not in {folder}"
    for element in root:
        if element.tag == f"{{{NAMESPACE}}}commandline":
            yield from _unknown_options(element)
        elif isinstance(element.tag, str) and element.tag not in ELEMENTS:
            yield f"<{element.tag}>"
    for element in root.iterfind("os/*"):
        if element.tag not in OS:
            yield f"<os> with {element.tag}"
    for element in root.iterfind("sysinfo"):
        if element.get("type") != "smbios":
            yield f"<sysinfo> of type {element.get('type')}"
    yield from _bad_boot_files(root, folder)
    for device in root.iterfind("devices/*"):
        yield from _bad_device(device)


def _unknown_options(command_line: etree._Element) -> Iterator[str]:
    for argument in command_line:
        if argument.tag != f"{{{NAMESPACE}}}arg" or argument.get("value") not in OPTIONS:
            yield f"the option {argument.get('name') or argument.get('value')} of QEMU"


def _bad_boot_files(root: etree._Element, folder: pathlib.Path) -> Iterator[str]:
    for name in ("kernel", "initrd", "loader", "nvram", "nvram/source"):
        for element in root.iterfind(f"os/{name}"):
            for path in (element.text, element.get("template"), element.get("file")):
                allowed = (*FIRMWARE, LIBVIRT, f"{folder}/")
                if path and path.strip() and not os.path.normpath(path).startswith(allowed):
                    yield f"{path} to boot from"


def _bad_device(device: etree._Element) -> Iterator[str]:
    kind, source = device.get("type"), device.find("source")
    if not isinstance(device.tag, str):
        return  # a comment
    if device.tag not in DEVICES:
        yield f"<{device.tag}>"
    elif device.tag in TYPES and kind not in TYPES[device.tag]:
        yield f"<{device.tag}> of type {kind}"
    match device.tag:
        case "emulator":
            path = device.text or ""
            if not EMULATOR.fullmatch(os.path.basename(path)) or not _belongs_to_root(path):
                yield f"the emulator {path}"
        case "disk" if source is not None and len(source):
            yield "a disk with more than a file"
        case "interface" if any(element.get("path") for element in device.iterfind("*[@path]")):
            yield "an interface with a script"
        case "channel" if source is not None:
            if not os.path.normpath(source.get("path", LIBVIRT)).startswith(LIBVIRT.rstrip("/")):
                yield f"the socket {source.get('path')}"
        case "graphics" if device.get("socket"):
            yield f"the socket {device.get('socket')}"
        case "rng" if device.findtext("backend") not in RANDOM:
            yield "random numbers from elsewhere than the kernel"


def _belongs_to_root(path: str) -> bool:
    try:
        return os.stat(path).st_uid == 0
    except OSError:
        return False
