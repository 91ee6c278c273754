# SPDX-License-Identifier: Apache-2.0
"""The folders and the configuration of a host's private libvirtd."""

import uuid
from pathlib import Path

from lab.core.layout import CACHE, write_private

#: libvirt's paths are compiled in; each host has folders of its own in these places.
PLACES = {
    "etc": Path("/etc/libvirt"),
    "run": Path("/run/libvirt"),
    "lib": Path("/var/lib/libvirt"),
    "log": Path("/var/log/libvirt"),
}
#: What libvirtd has found out about QEMU takes it seconds, is the same on all hosts and stays true until QEMU is updated.
SHARED = {CACHE / "libvirt": Path("/var/cache/libvirt")}

COMMAND = ("libvirtd", "--pid-file", str(PLACES["run"] / "libvirtd.pid"))
#: And what lets it take connections of other hosts.
LISTEN = ("--listen",)

#: As root and without confinement: the hosts share one machine's users, control groups and files.
QEMU_CONF = """\
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
seccomp_sandbox = 0
remember_owner = 0
stdio_handler = "file"
"""

LIBVIRTD_CONF = """\
auth_unix_rw = "none"
auth_unix_ro = "none"
unix_sock_rw_perms = "0700"
unix_sock_ro_perms = "0700"
host_uuid = "{host_uuid}"
log_outputs = "2:stderr"
listen_tls = 0
listen_tcp = 1
listen_addr = "{address}"
auth_tcp = "none"
"""


#: Debian's libvirtd does not start without this user and group, whatever qemu.conf says; its package for a whole system, which
#: makes them, also brings services that nobody wants on a laptop.
ACCOUNTS = {
    Path("/etc/passwd"): "libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin",
    Path("/etc/group"): "libvirt-qemu:x:64055:",
}


def prepare(folder: Path, address: str) -> dict[Path, Path]:
    """Write what libvirtd needs into a host's folder, and make sure that its places are there to be bound over.

    :param address: in a network that only hosts are in: should it listen at all, it does there, and asks nobody who it is
    :returns: what is to be bound over what
    """
    bound = {folder / name: place for name, place in PLACES.items()} | SHARED
    for own, place in bound.items():
        own.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.mkdir(parents=True, exist_ok=True)
    write_private(folder / "etc" / "qemu.conf", QEMU_CONF)
    host_uuid = uuid.uuid5(uuid.NAMESPACE_URL, str(folder))
    write_private(
        folder / "etc" / "libvirtd.conf", LIBVIRTD_CONF.format(host_uuid=host_uuid, address=address)
    )
    write_private(folder / "etc" / "libvirt.conf", 'uri_default = "qemu:///system"\n')
    for place, account in ACCOUNTS.items():
        own = folder / place.name
        own.write_text(_with_line(place.read_text(), account))
        bound[own] = place
    return bound


def _with_line(text: str, account: str) -> str:
    """Return a file of accounts with one more in it, unless it has it."""
    name = account.split(":")[0]
    return text if f"\n{name}:" in f"\n{text}" else f"{text.rstrip()}\n{account}\n"
