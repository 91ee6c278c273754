# SPDX-License-Identifier: Apache-2.0
"""What is done to a secondary: make it, promote it, remove it."""

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import libvirt

from nova_colo.agent.qemu import domain_xml, read_only_media, tls
from nova_colo.agent.qemu.endpoint import Endpoint
from nova_colo.agent.qemu.qmp import block, migration, netfilter
from nova_colo.agent.qemu.qmp.client import Guest, Hypervisor
from nova_colo.agent.replication import ReplicationError
from nova_colo.pair import reasons

#: Seconds that a promoted guest may take to run.
PROMOTE_S = 10.0


def make_files(primary: dict[str, Any]) -> Iterator[str]:
    """Make the files of a secondary's disks that are not there, and yield each that was made, or that its QEMU will make.

    :param primary: what the primary's host has said of it: xml; path, format and size of each disk; media
    :raises ReplicationError: when there is another file in the place of one
    """
    for disk in primary["disks"]:
        if block.make_file(disk["path"], disk["format"], disk["size"]):
            yield disk["path"]
    yield from read_only_media.make(primary["media"])
    yield from (path for path in domain_xml.log_files(primary["xml"]) if not pathlib.Path(path).exists())


def start(hypervisor: Hypervisor, primary: dict[str, Any], where: str) -> libvirt.virDomain:
    """Start the QEMU of a secondary, which waits for the primary's memory.

    :param primary: what the primary's host has said of it: xml
    :param where: this host's name
    :raises ReplicationError: when this host cannot run it, or it would not look the same to its guest
    """
    xml = domain_xml.twin_xml(primary["xml"])
    missing = [path for path in domain_xml.boot_files(xml) if not pathlib.Path(path).exists()]
    if missing:
        raise ReplicationError(reasons.BOOT_FILES_MISSING(host=where, paths=missing))
    try:
        made = hypervisor.connection().createXML(xml, libvirt.VIR_DOMAIN_START_PAUSED)
    except libvirt.libvirtError as error:
        raise ReplicationError(reasons.GUEST_REFUSED(host=where, text=str(error))) from error
    unlike = domain_xml.differences(primary["xml"], domain_xml.xml_of(made))
    if unlike:
        made.destroy()
        raise ReplicationError(reasons.GUEST_DIFFERS(host=where, differences="; ".join(unlike)))
    return made


def prepare(
    guest: Guest,
    made: libvirt.virDomain,
    listening: netfilter.Listening,
    exports: Endpoint,
    memory: Endpoint,
) -> list[str]:
    """Let a secondary that was just started wait for its primary.

    :param listening: where the primary listens for it
    :param exports: where it offers its disks
    :param memory: where it waits for the primary's memory
    :returns: the files of its disks
    """
    all_disks, nics, owner = domain_xml.disks(made), domain_xml.nics(made), domain_xml.owner(made)
    for disk, size in zip(all_disks, block.sizes(guest, all_disks), strict=True):
        block.make_overlays(disk, size, owner)
    block.build_secondary(guest, all_disks, exports)
    netfilter.connect_secondary(guest, nics, listening)
    migration.wait_incoming(guest, memory)
    return [disk.path for disk in all_disks]


def promote(guest: Guest, end_primary: Callable[[], None] | None) -> float | None:
    """Let a secondary run alone, and say on its networks where it is now.

    :param end_primary: ends the primary, which may run still; None when it is known to stand still
    :returns: for how many milliseconds it had stood still since it lost its primary; None when that is not known
    """
    migration.cut(guest)
    block.stop_exports(guest)
    if end_primary is not None:
        end_primary()
    gap_ms = migration.go_on_alone(guest, PROMOTE_S)
    netfilter.release_secondary(guest)
    migration.forget(guest)
    tls.unload(guest)
    netfilter.announce(guest)
    return gap_ms
