# SPDX-License-Identifier: Apache-2.0
"""The end of QEMU processes and their sockets, from the kernel: independently of QEMU and libvirt."""

import contextlib
import ctypes
import errno
import os
import pathlib
import re
import select
import socket
import threading
from collections.abc import Callable, Iterator

from nova_colo.agent.qemu.qmp.client import Guest

#: Number of the system call on every architecture. (Linux: arch/*/entry/syscalls, pidfd_getfd(2))
PIDFD_GETFD = 438
_LIBC = ctypes.CDLL(None, use_errno=True)


class ProcessWatch:
    """Watches the processes of QEMUs.

    :param ended: called with the id of a server whose QEMU has ended, in a thread of its own
    """

    def __init__(self, ended: Callable[[str], None]):
        self._notify = ended
        self._lock = threading.Lock()
        self._watched: dict[str, int] = {}  # file descriptors
        self._ended: set[str] = set()
        self._poll = select.epoll()
        threading.Thread(target=self._wait_loop, name="processes", daemon=True).start()

    def watch(self, server_id: str, guest: Guest) -> None:
        """Watch the QEMU of a server, unless it is watched already.

        :raises ReplicationError: when QEMU does not return its pid
        """
        with self._lock:
            if server_id in self._watched or server_id in self._ended:
                return
        with contextlib.suppress(OSError):  # it has just ended, which libvirt reports
            handle = os.pidfd_open(process_of(guest))
            with self._lock:
                self._watched[server_id] = handle
            self._poll.register(handle, select.EPOLLIN)

    def has_ended(self, server_id: str) -> bool:
        """Return whether the watched QEMU of a server has ended."""
        with self._lock:
            return server_id in self._ended

    def sockets(self, server_id: str) -> Iterator[socket.socket]:
        """Yield duplicates of the connected sockets of a server's QEMU; none unless it is watched.

        :raises OSError: when the kernel refuses, or the process ends meanwhile
        """
        with self._lock:
            watched = self._watched.get(server_id)
            if watched is None:
                return
            handle = os.dup(watched)
        try:
            yield from _sockets(handle)
        finally:
            os.close(handle)

    def unwatch(self, server_id: str) -> None:
        """Stop watching the QEMU of a server, before its next one is started."""
        with self._lock:
            self._ended.discard(server_id)
            handle = self._watched.pop(server_id, None)
            if handle is not None:
                self._close(handle)

    def _wait_loop(self) -> None:
        while True:
            for handle, _ in self._poll.poll():
                with self._lock:
                    server_id = next(
                        (name for name, watched in self._watched.items() if watched == handle), None
                    )
                    if server_id is None:
                        continue
                    self._ended.add(server_id)
                    del self._watched[server_id]
                    self._close(handle)
                self._notify(server_id)

    def _close(self, handle: int) -> None:
        # closing it is not enough while sockets() has a duplicate
        with contextlib.suppress(FileNotFoundError):  # it is not registered yet
            self._poll.unregister(handle)
        os.close(handle)


def process_of(guest: Guest) -> int:
    """Return the pid of a guest's QEMU.

    :raises ReplicationError: when QEMU does not return it
    :raises OSError: when it has just ended
    """
    thread = guest("query-cpus-fast")[0]["thread-id"]
    status = pathlib.Path(f"/proc/{thread}/status").read_text()
    match = re.search(r"^Tgid:\s*(\d+)$", status, re.MULTILINE)
    return int(match[1]) if match else thread


def _sockets(handle: int) -> Iterator[socket.socket]:
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


def _duplicate(handle: int, number: int) -> int:
    """Return a duplicate of another process's file descriptor.

    :param handle: pidfd of the process
    """
    descriptor = _LIBC.syscall(PIDFD_GETFD, handle, number, 0)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return descriptor
