# SPDX-License-Identifier: Apache-2.0
"""TCP ports that QEMU listens on for pairs: from a configured range, each for one purpose."""

import contextlib
import socket
import threading
from collections.abc import Iterable

from nova_colo.agent.replication import ReplicationError
from nova_colo.pair import reasons


class Ports:
    """The ports of one host.

    :param address: what they are listened on
    :param first, last: the range
    """

    def __init__(self, address: str, first: int, last: int):
        self._address = address
        self._range = range(first, last + 1)
        self._taken: set[int] = set()
        self._lock = threading.Lock()

    def keep(self, ports: Iterable[int]) -> None:
        """Note that some are taken, by pairs that were there before."""
        with self._lock:
            self._taken.update(ports)

    def take(self, count: int) -> list[int]:
        """Return ports that nobody listens on, and which are not given away again until they are given back.

        :raises ReplicationError: when there are not enough
        """
        found: list[int] = []
        with self._lock:
            for port in self._range:
                if len(found) == count:
                    break
                if port not in self._taken and self._is_free(port):
                    found.append(port)
            if len(found) < count:
                raise ReplicationError(
                    reasons.PORTS_TAKEN(first=self._range.start, last=self._range.stop - 1)
                )
            self._taken.update(found)
        return found

    def give_back(self, ports: Iterable[int]) -> None:
        """Note that nobody listens on some any more."""
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
