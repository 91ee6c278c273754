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
        "hub",
        "input",
        "interface",
        "iommu",
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
#: The types that are admitted of the devices that have a type.
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
RANDOM = re.compile(r"/dev/(u?random|hwrng\d*)")
OPTIONS = frozenset({*domain_xml.WAIT, *NO_DISABLED_FLAG})
EMULATOR = re.compile(r"qemu-system-\w+|qemu-kvm|kvm|qemu-kvm-spice")
#: Where firmware may be, and libvirt's folder: for variables of firmware, and sockets of guest agents.
FIRMWARE, LIBVIRT = ("/usr/share/", "/usr/lib/"), "/var/lib/libvirt/qemu"
#: Attributes that name something of the host, wherever they are in a device.
NAMING = ("file", "path", "socket", "rendernode", "tap", "tty", "vhost")


def check(primary: Mapping[str, Any], server_id: str, instances_path: str) -> None:
    """Check the description of a primary.

    :param primary: as ``describe`` returned it on the primary's host
    :param instances_path: the folder in which each server has its folder
    :raises ReplicationError: when it asks for something that the secondary of this server must not have
    """
    root = etree.fromstring(primary["xml"], PARSER)
    domain_xml.remove_primarys_own(root)
    problem = next(_problems(root, primary, server_id, pathlib.Path(instances_path) / server_id), None)
    if problem is not None:
        raise ReplicationError(reasons.DESCRIPTION_REFUSED(server=server_id, text=problem))


def _problems(
    root: etree._Element, primary: Mapping[str, Any], server_id: str, folder: pathlib.Path
) -> Iterator[str]:
    if root.findtext("uuid") != server_id:
        yield f"the id {root.findtext('uuid')}"
    if os.path.realpath(folder) != os.path.join(os.path.realpath(folder.parent), server_id):
        yield f"the folder {folder}, which is a link"
    yield from _bad_disks(root, primary)
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
        if isinstance(device.tag, str):
            yield from _bad_device(device)
            yield from _bad_names(device, folder, root.findtext("name") or "")
    yield from _bad_vifs(primary.get("wiring"), server_id)


def _bad_disks(root: etree._Element, primary: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the files to create: they are the disks of the XML, and nothing else."""
    sent = {disk["path"]: disk["format"] for disk in primary["disks"]}
    writable: dict[str, str | None] = {}
    media: dict[str, str | None] = {}
    for disk in root.iterfind("devices/disk"):
        source, driver = disk.find("source[@file]"), disk.find("driver")
        if source is not None:
            files = media if domain_xml.is_read_only(disk) else writable
            files[source.get("file")] = driver.get("type") if driver is not None else None
    if sent != writable or not set(sent.values()) <= {"raw", "qcow2"}:
        yield f"the disks {sent}, and {writable} in its XML"
    # what is in a file that another host sends must not be taken for a header
    if {medium["path"] for medium in primary["media"]} != set(media) or set(media.values()) - {"raw"}:
        yield f"the read-only media {media}"
    for disk in primary["disks"]:
        if type(disk["size"]) is not int or disk["size"] < 0:
            yield f"a disk of size {disk['size']}"


def _unknown_options(command_line: etree._Element) -> Iterator[str]:
    for argument in command_line:
        if argument.tag != f"{{{NAMESPACE}}}arg" or argument.get("value") not in OPTIONS:
            yield f"the option {argument.get('name') or argument.get('value')} of QEMU"


def _bad_boot_files(root: etree._Element, folder: pathlib.Path) -> Iterator[str]:
    variables = f"{LIBVIRT}/nvram/{root.findtext('name')}_VARS.fd"
    for element in root.iterfind("os/*"):
        if element.tag in ("kernel", "initrd", "loader", "nvram"):
            for path in (element.text, element.get("template")):
                is_own = element.tag == "nvram" and path == variables
                allowed = (*FIRMWARE, f"{folder}/")
                if path and path.strip() and not is_own and not os.path.normpath(path).startswith(allowed):
                    yield f"{path} to boot from"
            if len(element) or element.get("type") not in (None, "file", "pflash", "rom"):
                yield f"<{element.tag}> that is no file"


def _bad_device(device: etree._Element) -> Iterator[str]:
    kind, source = device.get("type"), device.find("source")
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
        case "rng" if not RANDOM.fullmatch(device.findtext("backend") or ""):
            yield "random numbers from elsewhere than the kernel"
    if source is not None and source.get("mode", "bind") != "bind":
        yield f"<{device.tag}> that connects to something"


def _bad_names(device: etree._Element, folder: pathlib.Path, name: str) -> Iterator[str]:
    """Yield what a device names of the host, except the server's files, and what libvirt names itself."""
    sockets = (f"{LIBVIRT}/org.qemu.guest_agent.0.{name}.sock", f"{LIBVIRT}/channel/target/")
    for element in device.iter(etree.Element):
        for attribute in NAMING:
            value = element.get(attribute)
            if not value or (attribute in ("path", "tty") and re.fullmatch(r"/dev/pts/\d+", value)):
                continue
            if device.tag == "channel" and attribute == "path":
                allowed = os.path.normpath(value) == value and value.startswith(sockets)
            else:
                inside = pathlib.Path(value).parent == folder and os.path.normpath(value) == value
                allowed = inside and not os.path.islink(value)
            if not allowed:
                yield f"the file {value}, which is not in {folder}"
        if element.tag == "source" and element.get("dev"):
            yield f"the device {element.get('dev')}"


def _bad_vifs(wiring: Mapping[str, Any] | None, server_id: str) -> Iterator[str]:
    """Yield VIFs of others: what is plugged for a secondary is unplugged again."""
    if not wiring:
        return
    if wiring["server"]["versioned_object.data"]["uuid"] != server_id:
        yield "the VIFs of another server"
    for vif in wiring["vifs"]:
        data = vif["versioned_object.data"]
        if "vif_name" in data and not data["vif_name"].endswith(data["id"][:11]):
            yield f"the VIF {data['vif_name']} for port {data['id']}"


def _belongs_to_root(path: str) -> bool:
    """Return whether a program and the folder that it is in are root's, and no other user's."""
    try:
        found = [os.stat(name) for name in (path, os.path.dirname(path))]
    except OSError:
        return False
    return all(stat.st_uid == 0 and not stat.st_mode & 0o022 for stat in found)
