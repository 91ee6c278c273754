# SPDX-License-Identifier: Apache-2.0
"""Allocation of the TCP ports on which QEMU listens for pairs, from a configured range."""

import contextlib
import socket
import threading
from collections.abc import Iterable

from nova_colo.agent.replication import ReplicationError
from nova_colo.pair import reasons


class Ports:
    """The ports of one host.

    :param address: the address on which QEMU listens
    :param first, last: the range, inclusive
    """

    def __init__(self, address: str, first: int, last: int):
        self._address = address
        self._range = range(first, last + 1)
        self._taken: set[int] = set()
        self._lock = threading.Lock()

    def mark_taken(self, ports: Iterable[int]) -> None:
        """Record that ports are taken by pairs of an earlier agent process."""
        with self._lock:
            self._taken.update(ports)

    def take(self, count: int) -> list[int]:
        """Return free ports, which stay taken until they are released.

        :raises ReplicationError: when not enough ports are free
        """
        ports: list[int] = []
        with self._lock:
            for port in self._range:
                if len(ports) == count:
                    break
                if port not in self._taken and self._is_free(port):
                    ports.append(port)
            if len(ports) < count:
                raise ReplicationError(
                    reasons.PORTS_TAKEN(first=self._range.start, last=self._range.stop - 1)
                )
            self._taken.update(ports)
        return ports

    def release(self, ports: Iterable[int]) -> None:
        """Release ports on which nobody listens any more."""
        with self._lock:
            self._taken.difference_update(ports)

    def _is_free(self, port: int) -> bool:
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self._address, port))
            except OSError:
                return False
        return True
