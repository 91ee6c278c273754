# SPDX-License-Identifier: Apache-2.0
"""The folders and the configuration of a host's private libvirtd."""

import uuid
from pathlib import Path

from lab.core.layout import CACHE, write_private

#: libvirt's paths are compiled in, so each host mounts its own folders over these.
PLACES = {
    "etc": Path("/etc/libvirt"),
    "run": Path("/run/libvirt"),
    "lib": Path("/var/lib/libvirt"),
    "log": Path("/var/log/libvirt"),
}
#: QEMU's capabilities take libvirtd seconds to probe, and are the same on all hosts until QEMU is updated.
SHARED = {CACHE / "libvirt": Path("/var/cache/libvirt")}

COMMAND = ("libvirtd", "--pid-file", str(PLACES["run"] / "libvirtd.pid"))
#: Additional option to accept connections of other hosts.
LISTEN = ("--listen",)

#: As root and without confinement, since the hosts share one machine's users, control groups and files.
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


#: Debian's libvirtd does not start without this user and group, despite qemu.conf. The Debian package that
#: creates them also installs system services that the lab does not need.
ACCOUNTS = {
    Path("/etc/passwd"): "libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin",
    Path("/etc/group"): "libvirt-qemu:x:64055:",
}


def prepare(folder: Path, address: str) -> dict[Path, Path]:
    """Write libvirtd's files into a host's folder, and create the mount points for them.

    :param address: where libvirtd listens, if it does, without authentication: in a network of hosts only
    :returns: bind mounts, from source to mount point
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
    """Return the text of an account file with ``account``, unless it has that name."""
    name = account.split(":")[0]
    return text if f"\n{name}:" in f"\n{text}" else f"{text.rstrip()}\n{account}\n"
