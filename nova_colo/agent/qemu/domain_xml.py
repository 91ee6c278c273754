# SPDX-License-Identifier: Apache-2.0
"""Reads a domain's XML: disks, NICs, what its guest sees. Derives the XML of its secondary."""

import copy
import dataclasses
from collections.abc import Iterator

import libvirt
from lxml import etree

from nova_colo.agent.replication import ReplicationError
from nova_colo.emulator_options import NO_DISABLED_FLAG, PARSER, with_options
from nova_colo.pair import reasons

#: The option that makes QEMU wait for a migration.
WAIT = ("-incoming", "defer")

#: QOM path of the object whose property ``drive`` names a disk's node, by bus.
_DRIVES = {"virtio": "/machine/peripheral/{alias}/virtio-backend", "scsi": "/machine/peripheral/{alias}"}


@dataclasses.dataclass(frozen=True)
class Disk:
    """A disk that the guest can write to.

    :param target: e.g. ``vda``
    :param qom: the QEMU object whose property ``drive`` names the disk's node
    :param path: its file
    :param format: raw or qcow2
    """

    target: str
    qom: str
    path: str
    format: str


@dataclasses.dataclass(frozen=True)
class Nic:
    """A NIC.

    :param netdev: QEMU's id of its backend
    :param vnet_hdr: its packets carry virtio headers
    """

    mac: str
    netdev: str
    vnet_hdr: bool


def xml_of(domain: libvirt.virDomain) -> str:
    """Return a running domain's XML in a form that another host can run, with all addresses."""
    return domain.XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE)


def disks(domain: libvirt.virDomain) -> list[Disk]:
    """Return the disks of a running domain that the guest can write to.

    :raises ReplicationError: when some cannot be replicated, naming all of them
    """
    replicable, unsupported = [], []
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
            unsupported.append(f"{name} (bus {bus}, {kind}, {element.get('type')})")
            continue
        alias = element.find("alias").get("name")
        replicable.append(Disk(name, _DRIVES[bus].format(alias=alias), path, kind))
    if unsupported:
        raise ReplicationError(reasons.DISKS_NOT_CARRIED(disks=unsupported))
    if not replicable:
        raise ReplicationError(reasons.NO_DISK())
    return replicable


def nics(domain: libvirt.virDomain) -> list[Nic]:
    """Return the NICs of a running domain.

    :raises ReplicationError: when the packets of one do not pass through QEMU
    """
    all_nics = []
    root = etree.fromstring(domain.XMLDesc(0), PARSER)
    for element in root.iterfind("devices/interface"):
        mac, model = element.find("mac").get("address"), element.find("model").get("type")
        kind = f"{model}, {element.get('type')}"
        is_carried = element.get("type") in ("bridge", "ethernet", "network") and model.startswith("virtio")
        # vhost is libvirt's default with KVM
        is_vhost = root.get("type") == "kvm" and element.find("driver[@name='qemu']") is None
        if is_carried and is_vhost:
            is_carried, kind = False, "vhost"
        if not is_carried:
            raise ReplicationError(reasons.NIC_NOT_CARRIED(mac=mac, model=kind))
        alias = element.find("alias").get("name")
        all_nics.append(Nic(mac, f"host{alias}", vnet_hdr=True))
    return all_nics


def secondary_xml(xml: str) -> str:
    """Return the XML of a domain's secondary: the same, except that it waits for the primary's memory."""
    root = etree.fromstring(xml, PARSER)
    remove_primarys_own(root)
    return etree.tostring(with_options(root, WAIT, NO_DISABLED_FLAG), encoding="unicode")


def remove_primarys_own(root: etree._Element) -> None:
    """Remove from a domain what its secondary does not take over.

    libvirt names the images below a disk once it was restarted. A secondary's disk has none.
    """
    for path in ("seclabel", "devices/disk/backingStore", "devices/disk/mirror", "devices/graphics/listen"):
        for element in root.findall(path):  # not iterfind, which skips elements after a removal
            element.getparent().remove(element)


def boot_files(xml: str) -> list[str]:
    """Return the files on the host that a guest boots from."""
    root = etree.fromstring(xml, PARSER)
    named = (root.findtext(f"os/{name}") for name in ("kernel", "initrd", "loader"))
    return [path for path in named if path]


def media_files(xml: str) -> list[str]:
    """Return the files on the host that a guest can only read: CD-ROM media and read-only disks."""
    paths = []
    for disk in etree.fromstring(xml, PARSER).iterfind("devices/disk"):
        source = disk.find("source[@file]")
        if source is not None and is_read_only(disk):
            paths.append(source.get("file"))
    return paths


def is_read_only(disk: etree._Element) -> bool:
    """Return whether a guest can only read a disk, so that there is nothing to replicate."""
    return disk.find("readonly") is not None or disk.get("device") != "disk"


def log_files(xml: str) -> list[str]:
    """Return the files that a guest's consoles are logged to."""
    devices = etree.fromstring(xml, PARSER).find("devices")
    logs = devices.xpath("(serial | console)/log/@file | serial[@type='file']/source/@path")
    return list(dict.fromkeys(map(str, logs)))


def group(domain: libvirt.virDomain) -> int | None:
    """Return the group of a running domain's QEMU; None when libvirt does not report it."""
    label = etree.fromstring(domain.XMLDesc(0), PARSER).findtext("seclabel[@model='dac']/label")
    if not label:
        return None
    return int(label.partition(":")[2].lstrip("+"))


def differences(one: str, other: str) -> list[str]:
    """Return how two domains differ for their guests: machine, CPU, memory, devices, addresses.

    :param one, other: XML as ``xml_of`` returns it
    :returns: one text ``what: this, that`` per difference; nothing when a guest can move from one to the
        other
    """
    here, there = dict(_guest_view(one)), dict(_guest_view(other))
    names = sorted(here.keys() | there.keys())
    return [
        f"{name}: {here.get(name, 'none')}, {there.get(name, 'none')}"
        for name in names
        if here.get(name) != there.get(name)
    ]


def _guest_view(xml: str) -> Iterator[tuple[str, str]]:
    root = etree.fromstring(xml, PARSER)
    for path in ("uuid", "memory", "vcpu", "os/type", "cpu", "features", "clock"):
        for element in root.iterfind(path):
            yield path, _canonical(element)
    yield "machine", root.find("os/type").get("machine", "")
    devices = root.find("devices")
    kinds: dict[str, int] = {}
    for device in devices:
        if device.tag == "emulator" or isinstance(device, etree._Comment):
            continue
        number = kinds[device.tag] = kinds.get(device.tag, 0) + 1
        yield f"{device.tag} {number}", _canonical(_guest_visible(device))


def _guest_visible(device: etree._Element) -> etree._Element:
    """Return the part of a device that its guest sees, without what it is connected to on the host."""
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


def _canonical(element: etree._Element) -> str:
    return (
        etree.tostring(element, method="c14n", exclusive=True).decode()
        if len(element) or element.attrib
        else (element.text or "")
    )
