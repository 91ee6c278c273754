# SPDX-License-Identifier: Apache-2.0
"""Keeps the scheduler away from a host while servers' records move there, so that nobody takes the room they have left."""

import collections
import contextlib
import threading
from collections.abc import Iterator

from nova_colo.engine.clients.nova import NovaClient

REASON = "nova-colo: a failover to this host is in progress"


class Gate:
    """Hosts that we disable for the scheduler, each for any number of moves at a time."""

    def __init__(self, nova: NovaClient):
        self._nova = nova
        self._lock = threading.Lock()
        self._closers: collections.Counter[str] = collections.Counter()

    @contextlib.contextmanager
    def closed(self, host: str) -> Iterator[None]:
        """Keep a host disabled; the last one to leave enables it. One that an operator has disabled stays as it is."""
        with self._lock:
            if self._closers[host] == 0:
                self._nova.disable(host, REASON)
            self._closers[host] += 1
        try:
            yield
        finally:
            with self._lock:
                self._closers[host] -= 1
                if self._closers[host] == 0:
                    self._nova.enable(host, REASON)

    def enable_forgotten(self) -> None:
        """Enable what an engine that was killed has left disabled."""
        for host, service in self._nova.compute_services().items():
            if service["status"] == "disabled" and service["disabled_reason"] == REASON:
                with self._lock:
                    if self._closers[host] == 0:
                        self._nova.enable(host, REASON)
