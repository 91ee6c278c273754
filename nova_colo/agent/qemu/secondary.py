# SPDX-License-Identifier: Apache-2.0
"""The steps on a secondary's QEMU: create it, promote it."""

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import libvirt

from nova_colo.agent.qemu import domain_xml, read_only_media, shared_files, tls
from nova_colo.agent.qemu.endpoint import Endpoint
from nova_colo.agent.qemu.qmp import block, migration, netfilter
from nova_colo.agent.qemu.qmp.client import Guest, Hypervisor
from nova_colo.agent.replication import ReplicationError
from nova_colo.hoststate import disk_info
from nova_colo.pair import reasons

#: Seconds that a promoted guest may take to resume.
PROMOTE_S = 10.0


def make_files(primary: dict[str, Any]) -> Iterator[str]:
    """Create the missing files of a secondary's disks, after what tells Nova their formats.

    Yield each that was created, or that its QEMU will create.

    :param primary: the primary's description: xml; path, format and size of each disk; media
    :raises ReplicationError: when another file exists in the place of one
    """
    yield from disk_info.record(disk_info.formats(primary["xml"]))
    for disk in primary["disks"]:
        if block.make_file(disk["path"], disk["format"], disk["size"]):
            yield disk["path"]
    yield from read_only_media.make(primary["media"])
    yield from (path for path in domain_xml.log_files(primary["xml"]) if not pathlib.Path(path).exists())


def start(hypervisor: Hypervisor, primary: dict[str, Any], where: str) -> libvirt.virDomain:
    """Start the QEMU of a secondary, which waits for the primary's memory.

    :param primary: the primary's description: xml
    :param where: this host's name
    :raises ReplicationError: when this host cannot run it, or its guest would see a difference
    """
    xml = domain_xml.secondary_xml(primary["xml"])
    missing = [path for path in domain_xml.boot_files(xml) if not pathlib.Path(path).exists()]
    if missing:
        raise ReplicationError(reasons.BOOT_FILES_MISSING(host=where, paths=missing))
    try:
        domain = hypervisor.connection().createXML(xml, libvirt.VIR_DOMAIN_START_PAUSED)
    except libvirt.libvirtError as error:
        raise ReplicationError(reasons.GUEST_REFUSED(host=where, text=str(error))) from error
    differences = domain_xml.differences(primary["xml"], domain_xml.xml_of(domain))
    if differences:
        domain.destroy()
        raise ReplicationError(reasons.GUEST_DIFFERS(host=where, differences="; ".join(differences)))
    return domain


def prepare(
    guest: Guest,
    domain: libvirt.virDomain,
    listening: netfilter.Listening,
    exports: Endpoint,
    memory: Endpoint,
    where: str,
) -> list[str]:
    """Prepare a secondary that was just started to receive its primary's state.

    :param listening: where the primary listens for it
    :param exports: where it exports its disks
    :param memory: where it waits for the primary's memory
    :param where: this host's name
    :returns: the files of its disks
    """
    all_disks, nics = domain_xml.disks(domain), domain_xml.nics(domain)
    for disk, size in zip(all_disks, block.sizes(guest, all_disks), strict=True):
        block.make_overlays(disk, size, lambda path: shared_files.share(path, domain, where))
    block.build_secondary(guest, all_disks, exports)
    netfilter.connect_secondary(guest, nics, listening)
    migration.wait_incoming(guest, memory)
    return [disk.path for disk in all_disks]


def promote(guest: Guest, end_primary: Callable[[], None] | None) -> float | None:
    """Resume a secondary without its primary, and announce its addresses on its networks.

    :param end_primary: fences the primary, which may still run; None when the primary is known to be paused
    :returns: for how many milliseconds it was paused since it lost its primary; None when that is not known
    """
    migration.disconnect(guest)
    block.stop_exports(guest)
    if end_primary is not None:
        end_primary()
    gap_ms = migration.exit_colo(guest, PROMOTE_S)
    netfilter.remove_secondary_filters(guest)
    migration.reset_capabilities(guest)
    tls.unload(guest)
    netfilter.announce(guest)
    return gap_ms
