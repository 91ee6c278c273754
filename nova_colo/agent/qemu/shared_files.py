# SPDX-License-Identifier: Apache-2.0
"""Files that the agent makes for QEMU: they stay the agent's, and belong to QEMU's group."""

import grp
import os
import pathlib

import libvirt

from nova_colo.agent.qemu import domain_xml
from nova_colo.agent.replication import ReplicationError
from nova_colo.pair import reasons


def share(path: str | pathlib.Path, domain: libvirt.virDomain, where: str) -> None:
    """Give the QEMU of a running domain access to a file or folder of the agent's.

    :param where: this host's name
    :raises ReplicationError: when the agent is not in QEMU's group
    """
    file = pathlib.Path(path)
    group = domain_xml.group(domain)
    if group is None:  # libvirt lets QEMU run as its own user
        return
    if os.geteuid() != 0 and group not in {os.getegid(), *os.getgroups()}:
        raise ReplicationError(reasons.NOT_IN_QEMU_GROUP(host=where, group=_name(group)))
    os.chown(file, -1, group)
    file.chmod(0o770 if file.is_dir() else 0o660)


def _name(group: int) -> str:
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return str(group)
