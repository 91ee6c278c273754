# SPDX-License-Identifier: Apache-2.0
"""The functions that the agent runs as root, in a process of its own that oslo.privsep starts.

Whoever is nova can call them with any arguments. The other process gets the numbers of open files instead of
paths, so that no path can be swapped between a check and its use. An agent that runs as root itself needs no
such process.
"""

import contextlib
import ctypes
import errno
import fcntl
import ipaddress
import itertools
import os
import pathlib
import re
import select
import signal
import socket
import stat
from collections.abc import Callable, Collection, Iterator
from typing import Any

from oslo_privsep import capabilities, comm, priv_context
from oslo_privsep.daemon import FailedToDropPrivileges

context = priv_context.PrivContext(
    "nova_colo",
    cfg_section="nova_colo_privileged",
    pypath=f"{__name__}.context",
    # chown, read /proc/PID/fd, duplicate open files of other processes
    capabilities=[capabilities.CAP_CHOWN, capabilities.CAP_DAC_READ_SEARCH, capabilities.CAP_SYS_PTRACE],
    timeout=10,
)
context.set_client_mode(os.geteuid() != 0)

#: Number of the system call on every architecture. (Linux: arch/*/entry/syscalls, pidfd_getfd(2))
_PIDFD_GETFD = 438
_LIBC = ctypes.CDLL(None, use_errno=True)
#: Names of QEMU's program.
_QEMU = re.compile(r"qemu-system-\w+|qemu-kvm|kvm")
#: By sudo in the other process: the user whose agent has started it.
_CALLER = "SUDO_UID"

#: Why the other process could not be started. Only check() tries again: no heartbeat may wait for sudo.
_unavailable: PermissionError | None = None


def check() -> None:
    """Check that the agent can gain privileges.

    :raises OSError: when it cannot
    """
    global _unavailable
    _unavailable = None
    with open(os.devnull, "rb") as file:
        _call(_check, os.getpid(), file.fileno())


@context.entrypoint
def _check(agent: int, number: int) -> None:
    with _file_of(agent, number):
        pass


def arm(listener: socket.socket, process: int, server_id: str) -> None:
    """Make the kernel kill the QEMU of a server when a datagram arrives at a socket.

    :param process: pid of the QEMU
    :raises OSError: when the process is not that server's, or has ended
    """
    _call(_arm, os.getpid(), listener.fileno(), process, server_id)


@context.entrypoint
def _arm(agent: int, listener: int, process: int, server_id: str) -> None:
    with _closing(os.pidfd_open(process)) as qemu, _file_of(agent, listener) as handle:
        _check_qemu(process, server_id)
        with socket.socket(fileno=os.dup(handle)) as checked:
            if checked.type != socket.SOCK_DGRAM:
                raise PermissionError(errno.EPERM, "it is no socket for datagrams")
        # the kernel checks the permission of who calls this when the datagram arrives (fcntl(2), F_SETOWN)
        fcntl.fcntl(handle, fcntl.F_SETOWN, process)
        if select.select([qemu], [], [], 0)[0]:  # it has ended: the pid may be another process's
            fcntl.fcntl(handle, fcntl.F_SETOWN, 0)
            raise ProcessLookupError(errno.ESRCH, f"process {process} has ended")
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(handle, fcntl.F_SETFL, fcntl.fcntl(handle, fcntl.F_GETFL) | os.O_ASYNC)


def shut_down_connections(
    handle: int, server_id: str, peer: str, own_ports: Collection[int], peer_ports: Collection[int]
) -> None:
    """Shut down the TCP connections of a pair from outside of QEMU.

    :param handle: pidfd of the server's QEMU
    :param peer: IP address of the peer's host
    :param own_ports: ports of the pair's connections on this host
    :param peer_ports: and on the peer's
    :raises OSError: when the kernel refuses, or the process ends meanwhile
    """
    ports = (list(own_ports), list(peer_ports))
    _call(_shut_down_connections, os.getpid(), handle, server_id, peer, *ports)


@context.entrypoint
def _shut_down_connections(
    agent: int, handle: int, server_id: str, peer: str, own_ports: list[int], peer_ports: list[int]
) -> None:
    address = ipaddress.ip_address(peer)
    with _file_of(agent, handle) as qemu:
        process = _pid(qemu)
        _check_qemu(process, server_id)
        for connection in _sockets(process, qemu):
            with contextlib.suppress(OSError):  # it listens, or has been closed
                if connection.family not in (socket.AF_INET, socket.AF_INET6):
                    continue
                own, (host, port, *_) = connection.getsockname(), connection.getpeername()
                is_pairs = own[1] in own_ports or port in peer_ports
                if is_pairs and ipaddress.ip_address(host) == address:
                    connection.shutdown(socket.SHUT_RDWR)


def reclaim(path: str) -> None:
    """Give a file in a folder of the agent's back to it, which QEMU's user or root owns.

    libvirt gives disks to QEMU's user, and not back if the host was switched off.

    :raises OSError: when it is not a regular file with one name in a folder of the agent
    """
    with _closing(os.open(path, os.O_PATH | os.O_NOFOLLOW)) as handle:
        if os.fstat(handle).st_uid != os.geteuid():
            _call(_reclaim, os.getpid(), handle)


@context.entrypoint
def _reclaim(agent: int, handle: int) -> None:
    with _file_of(agent, handle) as file:
        owner, status = os.stat(f"/proc/{agent}").st_uid, os.fstat(file)
        folder, name = os.path.split(os.readlink(f"/proc/self/fd/{file}"))
        with _closing(os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)) as parent:
            there = os.stat(name, dir_fd=parent, follow_symlinks=False)
            is_owners = os.fstat(parent).st_uid == owner and os.path.samestat(status, there)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or not is_owners:
            raise PermissionError(
                errno.EPERM, "it is not a regular file with one name in a folder of the agent", name
            )
        os.chown(f"/proc/self/fd/{file}", owner, -1)


def _call(function: Callable[..., None], *arguments: Any) -> None:
    """Call an entry point.

    :raises OSError: also when the other process cannot be started, or does not answer
    """
    global _unavailable
    if not context.client_mode:  # an agent of root's that was started by hand
        os.environ.pop(_CALLER, None)
    if _unavailable is not None:
        raise _unavailable
    try:
        function(*arguments)
    except (FailedToDropPrivileges, comm.PrivsepTimeout) as error:
        _unavailable = PermissionError(errno.EPERM, str(error))
        raise _unavailable from error


def _check_qemu(process: int, server_id: str) -> None:
    """Check that a process is the QEMU of a server: a program of root's, with the id as libvirt gives it.

    :raises OSError: when it is not
    """
    program = os.readlink(f"/proc/{process}/exe").removesuffix(" (deleted)")  # after an upgrade
    status = os.stat(f"/proc/{process}/exe")
    arguments = pathlib.Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    is_roots = status.st_uid == 0 and not status.st_mode & 0o022
    is_servers = bool(server_id) and (b"-uuid", server_id.encode()) in itertools.pairwise(arguments)
    if not (is_roots and is_servers and _QEMU.fullmatch(os.path.basename(program))):
        raise PermissionError(errno.EPERM, f"process {process} is not the QEMU of {server_id}")


def _pid(handle: int) -> int:
    """Return the pid of a pidfd; -1 when the process has ended."""
    info = pathlib.Path(f"/proc/self/fdinfo/{handle}").read_text()
    (pid,) = re.findall(r"^Pid:\s*(-?\d+)$", info, re.MULTILINE)
    return int(pid)


def _sockets(process: int, handle: int) -> Iterator[socket.socket]:
    """Yield duplicates of the sockets of a process.

    :param handle: its pidfd
    """
    for entry in pathlib.Path(f"/proc/{process}/fd").iterdir():
        try:
            if os.readlink(entry).startswith("socket:"):
                descriptor = _duplicate(handle, int(entry.name))
            else:
                continue
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EBADF):  # it was closed meanwhile
                continue
            raise
        try:
            duplicate = socket.socket(fileno=descriptor)
        except OSError:  # it is another file by now
            os.close(descriptor)
            continue
        with duplicate:
            yield duplicate


@contextlib.contextmanager
def _file_of(agent: int, number: int) -> Iterator[int]:
    """Yield a duplicate of an open file of the agent's process.

    :raises PermissionError: when that process is not of the user for whom this process was started
    """
    with _closing(os.pidfd_open(agent)) as process:
        caller = int(os.environ.get(_CALLER, os.geteuid()))
        if os.stat(f"/proc/{agent}").st_uid != caller:
            raise PermissionError(errno.EPERM, f"process {agent} is no agent")
        handle = _duplicate(process, number)
    with _closing(handle):
        yield handle


@contextlib.contextmanager
def _closing(handle: int) -> Iterator[int]:
    try:
        yield handle
    finally:
        os.close(handle)


def _duplicate(process: int, number: int) -> int:
    """Return a duplicate of another process's open file.

    :param process: pidfd of the process
    """
    descriptor = _LIBC.syscall(_PIDFD_GETFD, process, number, 0)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return descriptor
