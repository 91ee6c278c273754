# SPDX-License-Identifier: Apache-2.0
"""What a domain's XML says: disks, network cards, what its guest sees of it; and the XML of its twin."""

import copy
import dataclasses
from collections.abc import Iterator

import libvirt
from lxml import etree

from nova_colo.agent.replication import ReplicationError
from nova_colo.emulator_options import FLAG_OFF, PARSER, with_options
from nova_colo.pair import reasons

#: The option with which QEMU waits for another's memory.
WAIT = ("-incoming", "defer")

#: Where QEMU keeps what a disk drives its node with, by bus.
_DRIVES = {"virtio": "/machine/peripheral/{alias}/virtio-backend", "scsi": "/machine/peripheral/{alias}"}


@dataclasses.dataclass(frozen=True)
class Disk:
    """A disk that the guest can write to.

    :param target: e.g. ``vda``
    :param qom: QEMU's object whose property ``drive`` names the disk's node
    :param path: its file
    :param format: raw or qcow2
    """

    target: str
    qom: str
    path: str
    format: str


@dataclasses.dataclass(frozen=True)
class Nic:
    """A network card.

    :param netdev: QEMU's id of what it is connected to
    :param vnet_hdr: its packets carry virtio's headers
    """

    mac: str
    netdev: str
    vnet_hdr: bool


def xml_of(domain: libvirt.virDomain) -> str:
    """Return a running domain's XML as another host could run it, with every address in it."""
    return domain.XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE)


def disks(domain: libvirt.virDomain) -> list[Disk]:
    """Return the disks of a running domain that the guest can write to.

    :raises ReplicationError: when there is one that cannot be replicated, with all that is wrong
    """
    found, lacks = [], []
    for element in etree.fromstring(domain.XMLDesc(0), PARSER).iterfind("devices/disk"):
        if is_read_only(element):
            continue
        target, source = element.find("target"), element.find("source")
        name, bus = target.get("dev"), target.get("bus")
        path, kind = (
            source.get("file") if source is not None else None,
            element.find("driver").get("type", "raw"),
        )
        if (
            element.find("shareable") is not None
            or bus not in _DRIVES
            or path is None
            or kind not in ("raw", "qcow2")
        ):
            lacks.append(f"{name} (bus {bus}, {kind}, {element.get('type')})")
            continue
        alias = element.find("alias").get("name")
        found.append(Disk(name, _DRIVES[bus].format(alias=alias), path, kind))
    if lacks:
        raise ReplicationError(reasons.DISKS_NOT_CARRIED(disks=lacks))
    if not found:
        raise ReplicationError(reasons.NO_DISK())
    return found


def nics(domain: libvirt.virDomain) -> list[Nic]:
    """Return the network cards of a running domain.

    :raises ReplicationError: when there is one whose packets QEMU does not see
    """
    found = []
    root = etree.fromstring(domain.XMLDesc(0), PARSER)
    for element in root.iterfind("devices/interface"):
        mac, model = element.find("mac").get("address"), element.find("model").get("type")
        kind = f"{model}, {element.get('type')}"
        is_carried = element.get("type") in ("bridge", "ethernet", "network") and model.startswith("virtio")
        if (
            is_carried and root.get("type") == "kvm" and element.find("driver[@name='qemu']") is None
        ):  # libvirt's default then
            is_carried, kind = False, "vhost"
        if not is_carried:
            raise ReplicationError(reasons.NIC_NOT_CARRIED(mac=mac, model=kind))
        alias = element.find("alias").get("name")
        found.append(Nic(mac, f"host{alias}", vnet_hdr=True))
    return found


def twin_xml(xml: str) -> str:
    """Return the XML of a domain's twin: the same, but that it waits for the other's memory."""
    root = etree.fromstring(xml, PARSER)
    for path in ("seclabel", "devices/disk/backingStore", "devices/disk/mirror", "devices/graphics/listen"):
        for element in root.findall(path):  # not iterfind, which loses its place when one is removed
            element.getparent().remove(element)
    return etree.tostring(with_options(root, WAIT, FLAG_OFF), encoding="unicode")


def boot_files(xml: str) -> list[str]:
    """Return the files of its host that a guest boots from."""
    root = etree.fromstring(xml, PARSER)
    named = (root.findtext(f"os/{name}") for name in ("kernel", "initrd", "loader"))
    return [path for path in named if path]


def media_files(xml: str) -> list[str]:
    """Return the files of its host that a guest can only read: what is in its CD-ROM drives, and read-only disks."""
    found = []
    for disk in etree.fromstring(xml, PARSER).iterfind("devices/disk"):
        source = disk.find("source[@file]")
        if source is not None and is_read_only(disk):
            found.append(source.get("file"))
    return found


def is_read_only(disk: etree._Element) -> bool:
    """Return whether a guest can only read a disk: there is nothing to replicate."""
    return disk.find("readonly") is not None or disk.get("device") != "disk"


def log_files(xml: str) -> list[str]:
    """Return the files that a guest's consoles are logged to."""
    devices = etree.fromstring(xml, PARSER).find("devices")
    logs = devices.xpath("(serial | console)/log/@file | serial[@type='file']/source/@path")
    return list(dict.fromkeys(map(str, logs)))


def owner(domain: libvirt.virDomain) -> tuple[int, int] | None:
    """Return the user and group that a running domain's QEMU runs as; None when libvirt does not say."""
    label = etree.fromstring(domain.XMLDesc(0), PARSER).findtext("seclabel[@model='dac']/label")
    if not label:
        return None
    user, _, group = label.partition(":")
    return int(user.lstrip("+")), int(group.lstrip("+"))


def differences(one: str, other: str) -> list[str]:
    """Return what two domains' guests would see different: machine, CPU, memory, devices, addresses.

    :param one, other: XML as ``xml_of`` returns it
    :returns: in words, ``what: this, that``; nothing when a guest can move from one to the other
    """
    here, there = dict(_seen(one)), dict(_seen(other))
    names = sorted(here.keys() | there.keys())
    return [
        f"{name}: {here.get(name, 'none')}, {there.get(name, 'none')}"
        for name in names
        if here.get(name) != there.get(name)
    ]


def _seen(xml: str) -> Iterator[tuple[str, str]]:
    root = etree.fromstring(xml, PARSER)
    for path in ("uuid", "memory", "vcpu", "os/type", "cpu", "features", "clock"):
        for element in root.iterfind(path):
            yield path, _flat(element)
    yield "machine", root.find("os/type").get("machine", "")
    devices = root.find("devices")
    kinds: dict[str, int] = {}
    for device in devices:
        if device.tag == "emulator" or isinstance(device, etree._Comment):
            continue
        number = kinds[device.tag] = kinds.get(device.tag, 0) + 1
        yield f"{device.tag} {number}", _flat(_guest_replica(device))


def _guest_replica(device: etree._Element) -> etree._Element:
    """Return what a guest sees of a device: not what it is connected to on its host."""
    kept = copy.deepcopy(device)
    for path in (
        "source",
        "target[@dev]",
        "alias",
        "backingStore",
        "mirror",
        "driver",
        "log",
        "listen",
        "backend",
        "seclabel",
    ):
        for element in kept.findall(path):
            if path.startswith("target") and device.tag == "disk":
                continue
            kept.remove(element)
    for attribute in ("port", "autoport", "websocket", "listen", "path", "tty"):
        kept.attrib.pop(attribute, None)
    return kept


def _flat(element: etree._Element) -> str:
    return (
        etree.tostring(element, method="c14n", exclusive=True).decode()
        if len(element) or element.attrib
        else (element.text or "")
    )
