# SPDX-License-Identifier: Apache-2.0
"""The functions that the agent runs as root, in a process of its own that oslo.privsep starts.

The other process gets open files by their numbers, and no paths: so neither can be exchanged for others in
between. An agent that runs as root itself needs no such process.
"""

import contextlib
import ctypes
import errno
import fcntl
import ipaddress
import os
import pathlib
import re
import signal
import socket
import stat
from collections.abc import Callable, Collection, Iterator
from typing import Any

from oslo_privsep import capabilities, priv_context
from oslo_privsep.daemon import FailedToDropPrivileges

context = priv_context.PrivContext(
    "nova_colo",
    cfg_section="nova_colo_privileged",
    pypath=f"{__name__}.context",
    # chown, read /proc/PID/fd, duplicate open files of other processes
    capabilities=[capabilities.CAP_CHOWN, capabilities.CAP_DAC_READ_SEARCH, capabilities.CAP_SYS_PTRACE],
)
context.set_client_mode(os.geteuid() != 0)

#: Number of the system call on every architecture. (Linux: arch/*/entry/syscalls, pidfd_getfd(2))
_PIDFD_GETFD = 438
_LIBC = ctypes.CDLL(None, use_errno=True)


def _call(function: Callable[..., None], *arguments: Any) -> None:
    try:
        function(*arguments)
    except FailedToDropPrivileges as error:
        raise PermissionError(errno.EPERM, f"the agent cannot gain privileges: {error}") from error


def check() -> None:
    """Check that the agent can gain privileges.

    :raises OSError: when it cannot
    """
    _call(_check)


@context.entrypoint
def _check() -> None:
    pass


def arm(listener: socket.socket, process: int, server_id: str) -> None:
    """Make the kernel kill the QEMU of a server when a datagram arrives at a socket.

    :param process: pid of the QEMU
    :raises OSError: when the process is not that server's, or has ended
    """
    _call(_arm, os.getpid(), listener.fileno(), process, server_id)


@context.entrypoint
def _arm(agent: int, listener: int, process: int, server_id: str) -> None:
    arguments = pathlib.Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    if server_id.encode() not in arguments:
        raise PermissionError(errno.EPERM, f"process {process} is not the QEMU of {server_id}")
    with _file_of(agent, listener) as handle:
        # the kernel checks the permission of who calls this when the datagram arrives (fcntl(2), F_SETOWN)
        fcntl.fcntl(handle, fcntl.F_SETOWN, process)
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(handle, fcntl.F_SETFL, fcntl.fcntl(handle, fcntl.F_GETFL) | os.O_ASYNC)


def shut_down_connections(
    handle: int, peer: str, own_ports: Collection[int], peer_ports: Collection[int]
) -> None:
    """Shut down the TCP connections of a pair from outside of QEMU.

    :param handle: pidfd of the QEMU
    :param peer: IP address of the peer's host
    :param own_ports: ports of the pair's connections on this host
    :param peer_ports: and on the peer's
    :raises OSError: when the kernel refuses, or the process ends meanwhile
    """
    _call(_shut_down_connections, os.getpid(), handle, peer, list(own_ports), list(peer_ports))


@context.entrypoint
def _shut_down_connections(
    agent: int, handle: int, peer: str, own_ports: list[int], peer_ports: list[int]
) -> None:
    address = ipaddress.ip_address(peer)
    with _file_of(agent, handle) as qemu:
        for connection in _sockets(qemu):
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

    :raises OSError: when it is no regular file, has other names, or its folder is not the agent's
    """
    handle = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    try:
        if os.fstat(handle).st_uid != os.geteuid():
            _call(_reclaim, os.getpid(), handle)
    finally:
        os.close(handle)


@context.entrypoint
def _reclaim(agent: int, handle: int) -> None:
    owner = os.stat(f"/proc/{agent}").st_uid
    with _file_of(agent, handle) as file:
        status = os.fstat(file)
        folder, name = os.path.split(os.readlink(f"/proc/self/fd/{file}"))
        parent = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            there = os.stat(name, dir_fd=parent, follow_symlinks=False)
            is_owners = os.fstat(parent).st_uid == owner and os.path.samestat(status, there)
        finally:
            os.close(parent)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or not is_owners:
            raise PermissionError(errno.EPERM, "it is no file in a folder of the agent's", name)
        os.chown(f"/proc/self/fd/{file}", owner, -1)


def _sockets(handle: int) -> Iterator[socket.socket]:
    """Yield duplicates of the sockets of a process.

    :param handle: its pidfd
    """
    info = pathlib.Path(f"/proc/self/fdinfo/{handle}").read_text()
    (pid,) = re.findall(r"^Pid:\s*(-?\d+)$", info, re.MULTILINE)  # -1 when it has ended
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
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

    :raises PermissionError: when that process is root's
    """
    if agent != os.getpid() and os.stat(f"/proc/{agent}").st_uid == 0:
        raise PermissionError(errno.EPERM, f"process {agent} is no agent")
    process = os.pidfd_open(agent)
    try:
        handle = _duplicate(process, number)
    finally:
        os.close(process)
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
