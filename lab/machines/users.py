# SPDX-License-Identifier: Apache-2.0
"""The users and groups of a host, as Debian's packages make them, and the folders that they may enter.

A host has account files and rules for sudo of its own. The kernel knows users by their numbers only, so those
of one host are those of all.
"""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.core.layout import REPO, VENV


@dataclass(frozen=True)
class User:
    """A user with a group of the same name and number."""

    name: str
    number: int

    def own(self, *paths: Path) -> None:
        """Give files or folders to the user."""
        for path in paths:
            os.chown(path, self.number, self.number)

    def own_all(self, folder: Path) -> None:
        """Give a folder and all that is in it to the user."""
        self.own(folder, *folder.rglob("*"))


#: nova-compute and the agent; QEMU; who may connect to libvirtd.
NOVA = User("nova", 64060)
QEMU = User("libvirt-qemu", 64055)
LIBVIRT = User("libvirt", 64061)

KVM = Path("/dev/kvm")
HELPER = VENV / "bin" / "privsep-helper"
#: With all arguments of the command, as in docs/install.md.
SUDOERS = (
    r"{user} ALL = (root) NOPASSWD: {helper} ^--config-file {file} --privsep_context {context}"
    r" --privsep_sock_path /tmp/[a-z0-9_]+/privsep\.sock$"
)
CONTEXTS = (
    "nova_colo.agent.qemu.privileged.context",
    "nova.privsep.sys_admin_pctxt",
    "os_brick.privileged.default",
)


def account_files(folder: Path) -> dict[Path, Path]:
    """Write a host's account files and its rules for sudo.

    :returns: bind mounts, from source to mount point
    """
    users = [
        f"{user.name}:x:{user.number}:{user.number}::/nonexistent:/usr/sbin/nologin" for user in (NOVA, QEMU)
    ]
    groups = [f"{group.name}:x:{group.number}:{NOVA.name}" for group in (NOVA, QEMU, LIBVIRT)]
    if KVM.exists() and KVM.stat().st_gid:
        groups.append(f"kvm:x:{KVM.stat().st_gid}:{QEMU.name}")
    # without passwords; sudo refuses a user who is not there
    shadow = folder / "shadow"
    shadow.write_text("".join(f"{name}:*:1:0:99999:7:::\n" for name in ("root", NOVA.name)))
    shadow.chmod(0o600)
    bound = {shadow: Path("/etc/shadow")}
    for place, accounts in ((Path("/etc/passwd"), users), (Path("/etc/group"), groups)):
        names = {account.split(":")[0] for account in accounts}
        others = [line for line in place.read_text().splitlines() if line.split(":")[0] not in names]
        own = folder / place.name
        own.write_text("\n".join([*others, *accounts, ""]))
        bound[own] = place
    conf = _helper_conf(folder)
    conf.write_text("# the defaults\n")
    conf.chmod(0o644)
    rules = folder / "sudoers"
    rules.unlink(missing_ok=True)
    lines = [
        SUDOERS.format(user=NOVA.name, helper=HELPER, file=re.escape(str(conf)), context=re.escape(context))
        for context in CONTEXTS
    ]
    rules.write_text("\n".join([*lines, ""]))
    rules.chmod(0o440)
    return bound | {rules: Path("/etc/sudoers")}


def helper_command(folder: Path) -> str:
    """Return the command that starts a process as root for one of nova's on a host."""
    return f"sudo -n {HELPER} --config-file {_helper_conf(folder)}"


def _helper_conf(folder: Path) -> Path:
    """Return the configuration of a host's helpers. It is root's: they open its log_file as root, for one."""
    return folder / "privsep.conf"


def command_as(user: User, argv: Sequence[str]) -> list[str]:
    """Return the command that runs ``argv`` as systemd would: as a user in the groups of QEMU and libvirt."""
    groups = ",".join(str(group.number) for group in (user, QEMU, LIBVIRT))
    number = str(user.number)
    # the lab's os-vif plugin uses ip in the process that calls it
    network = ["--inh-caps=+net_admin", "--ambient-caps=+net_admin"]
    become = [
        "setpriv",
        f"--reuid={number}",
        f"--regid={number}",
        f"--groups={groups}",
        *network,
        "--",
        *argv,
    ]
    return ["/bin/sh", "-c", 'umask 022; exec "$@"', "sh", *become]


def closed_folders() -> list[tuple[Path, list[Path]]]:
    """Return the folders on the way to this program that only their owner may enter, outermost first.

    With each what is needed in it: below it a host mounts a folder that all may enter.
    """
    needed = [REPO, Path(sys.base_prefix).resolve(), Path(sys.executable).resolve().parent]
    found: dict[Path, set[Path]] = {}
    for path in needed:
        steps = [*reversed(path.parents), path]
        for folder, below in zip(steps, [*steps[1:], None], strict=True):
            if not folder.stat().st_mode & 0o001:
                found.setdefault(folder, set()).update([below] if below else folder.iterdir())
    return [(folder, sorted(found[folder])) for folder in sorted(found, key=lambda path: len(path.parts))]


def open_folders() -> Iterable[str]:
    """Return lines of shell that mount a folder that all may enter over each of closed_folders()."""
    for closed, needed in closed_folders():
        # what is below the new mount is reached by the open file only, whose name mount must not look up
        yield f'exec 9<"{closed}"; mount -t tmpfs -o mode=755 none "{closed}"'
        for path in needed:
            make = "mkdir" if path.is_dir() else "touch"
            yield f'{make} "{path}"; mount --no-canonicalize --rbind "/proc/self/fd/9/{path.name}" "{path}"'
        yield "exec 9<&-"
