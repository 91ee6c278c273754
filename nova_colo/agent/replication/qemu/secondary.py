# SPDX-License-Identifier: Apache-2.0
"""What is done to a secondary: make it, promote it, remove it."""

import pathlib
from collections.abc import Sequence
from typing import Any

import libvirt

from nova_colo.agent.replication import ReplicationError
from nova_colo.agent.replication.qemu import channel, disks, domain, network
from nova_colo.agent.replication.qemu.monitor import Guest, Hypervisor
from nova_colo.pair.words import host

#: Seconds that a promoted guest may take to run.
PROMOTE_S = 10.0


def start(hypervisor: Hypervisor, primary: dict[str, Any], where: str) -> libvirt.virDomain:
    """Start the QEMU of a secondary, which waits for the primary's memory.

    :param primary: what the primary's host has said of it: xml, and the sizes of its disks by their file
    :param where: this host's name
    :raises ReplicationError: when this host cannot run it, or it would not look the same to its guest
    """
    xml = domain.twin_xml(primary["xml"])
    missing = [path for path in domain.boot_files(xml) if not pathlib.Path(path).exists()]
    if missing:
        raise ReplicationError(f"{host(where)} lacks files that the guest boots from: {', '.join(missing)}.")
    for disk in primary["disks"]:
        disks.make_file(disk["path"], disk["format"], disk["size"])
    try:
        made = hypervisor.connection().createXML(xml, libvirt.VIR_DOMAIN_START_PAUSED)
    except libvirt.libvirtError as error:
        raise ReplicationError(f"{host(where)} cannot run the guest: {error}") from error
    unlike = domain.differences(primary["xml"], domain.xml_of(made))
    if unlike:
        made.destroy()
        raise ReplicationError(f"On {host(where)} the guest would look different. {'; '.join(unlike)}.")
    return made


def prepare(
    guest: Guest,
    made: libvirt.virDomain,
    primary: dict[str, Any],
    address: str,
    ports: Sequence[int],
) -> list[str]:
    """Let a secondary that was just started wait for its primary.

    :param address: this host's in the replication network
    :param ports: for disks and memory
    :returns: the files of its disks
    """
    all_disks, nics, owner = domain.disks(made), domain.nics(made), domain.owner(made)
    for disk, size in zip(all_disks, disks.sizes(guest, all_disks), strict=True):
        disks.make_overlays(disk, size, owner)
    disks.build_secondary(guest, all_disks, address, ports[0])
    listening = network.Listening(primary["address"], tuple((pair[0], pair[1]) for pair in primary["ports"]))
    network.connect_secondary(guest, nics, listening)
    channel.wait_incoming(guest, address, ports[1])
    return [disk.path for disk in all_disks]


def promote(guest: Guest) -> float | None:
    """Let a secondary run alone, and say on its networks where it is now.

    :returns: for how many milliseconds it had stood still since it lost its primary; None when that is not known
    """
    channel.cut(guest)
    disks.stop_exports(guest)
    gap_ms = channel.go_on_alone(guest, PROMOTE_S)
    network.release_secondary(guest)
    guest("announce-self", {"initial": 50, "max": 550, "rounds": 5, "step": 100})
    return gap_ms
