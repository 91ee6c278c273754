# SPDX-License-Identifier: Apache-2.0
"""The end of QEMU processes, from the kernel: independently of QEMU and libvirt."""

import contextlib
import os
import pathlib
import re
import select
import threading
from collections.abc import Callable, Collection

from nova_colo.agent.qemu import privileged
from nova_colo.agent.qemu.qmp.client import Guest


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

    def shut_down_connections(
        self, server_id: str, peer: str, own_ports: Collection[int], peer_ports: Collection[int]
    ) -> None:
        """Shut down the connections of a server's QEMU with its peer; do nothing unless it is watched.

        :raises OSError: when the kernel refuses, or the process ends meanwhile
        """
        with self._lock:
            watched = self._watched.get(server_id)
            if watched is None:
                return
            handle = os.dup(watched)
        try:
            privileged.shut_down_connections(handle, server_id, peer, own_ports, peer_ports)
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
        # closing it is not enough while shut_down_connections() has a duplicate
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
