# SPDX-License-Identifier: Apache-2.0
"""The folders and the configuration of a host's private libvirtd."""

import os
import re
import uuid
from pathlib import Path

from lab.core.layout import CACHE, write_private
from lab.machines.users import KVM, QEMU

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

#: Without confinement, since the hosts share one machine's control groups and files.
QEMU_CONF = f"""\
user = "{QEMU.name}"
group = "{QEMU.name}"
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
seccomp_sandbox = 0
stdio_handler = "file"
"""

LIBVIRTD_CONF = """\
auth_unix_rw = "none"
auth_unix_ro = "none"
unix_sock_group = "libvirt"
unix_sock_rw_perms = "0770"
unix_sock_ro_perms = "0770"
host_uuid = "{host_uuid}"
log_outputs = "2:stderr"
listen_tls = 0
listen_tcp = 1
listen_addr = "{address}"
auth_tcp = "none"
"""


CPU_FLAGS = re.compile(r"^flags\s*:.*\b(vmx|svm)\b", re.MULTILINE)


def has_kvm() -> bool:
    """Return whether this machine can run guests with KVM.

    Some virtual machines have the device, but no virtualisation in the CPU, so that guests hang. QEMU's user
    is in the group of the device.
    """
    return (
        KVM.exists()
        and KVM.stat().st_mode & 0o060 == 0o060
        and CPU_FLAGS.search(Path("/proc/cpuinfo").read_text()) is not None
    )


def prepare(folder: Path, address: str) -> dict[Path, Path]:
    """Write libvirtd's files into a host's folder, and create the mount points for them.

    :param address: where libvirtd listens, if it does, without authentication: in a network of hosts only
    :returns: bind mounts, from source to mount point
    """
    bound = {folder / name: place for name, place in PLACES.items()} | SHARED
    for own, place in bound.items():
        own.mkdir(mode=0o755, parents=True, exist_ok=True)
        place.mkdir(parents=True, exist_ok=True)
    write_private(folder / "etc" / "qemu.conf", QEMU_CONF)
    host_uuid = uuid.uuid5(uuid.NAMESPACE_URL, str(folder))
    write_private(
        folder / "etc" / "libvirtd.conf", LIBVIRTD_CONF.format(host_uuid=host_uuid, address=address)
    )
    write_private(folder / "etc" / "libvirt.conf", 'uri_default = "qemu:///system"\n')
    if KVM.exists() and not has_kvm():
        # libvirtd would probe QEMU before each start: root may open the device, and QEMU's user may not
        none = folder / "no-kvm"
        none.touch(mode=0o600)
        bound[none] = KVM
    return bound


def forget_owners(folder: Path) -> None:
    """Remove what libvirtd has recorded about the owners of files, as it ignores what is older than the boot.

    This machine has not booted when a host is powered on.
    """
    for path in folder.rglob("*"):
        for name in os.listxattr(path, follow_symlinks=False):
            if name.startswith("trusted.libvirt.security."):
                os.removexattr(path, name, follow_symlinks=False)
