# SPDX-License-Identifier: Apache-2.0
"""Keeps the scheduler away from a host while servers' records move there, so that nobody takes the room they have left."""

import collections
import contextlib
import threading
from collections.abc import Iterator

from nova_colo.engine.nova import NovaClient

REASON = "nova-colo: a failover to this host is in progress"


class Gate:
    """Hosts that we disable for the scheduler. Moves by force share a closed host; one that needs it open has it alone."""

    def __init__(self, nova: NovaClient):
        self._nova = nova
        self._changed = threading.Condition()
        self._closers: collections.Counter[str] = collections.Counter()
        self._openers: set[str] = set()

    @contextlib.contextmanager
    def closed(self, host: str) -> Iterator[None]:
        """Keep a host disabled; the last one to leave enables it. One that an operator has disabled stays as it is."""
        with self._changed:
            self._changed.wait_for(lambda: host not in self._openers)
            if self._closers[host] == 0:
                self._nova.disable(host, REASON)
            self._closers[host] += 1
        try:
            yield
        finally:
            with self._changed:
                self._closers[host] -= 1
                if self._closers[host] == 0:
                    self._nova.enable(host, REASON)
                    self._changed.notify_all()

    @contextlib.contextmanager
    def opened(self, host: str) -> Iterator[None]:
        """Keep others from closing a host; waits until it is not closed any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closers[host] == 0 and host not in self._openers)
            self._nova.enable(host, REASON)
            self._openers.add(host)
        try:
            yield
        finally:
            with self._changed:
                self._openers.discard(host)
                self._changed.notify_all()

    def enable_forgotten(self) -> None:
        """Enable what an engine that was killed has left disabled."""
        for host, service in self._nova.compute_services().items():
            if service["status"] == "disabled" and service["disabled_reason"] == REASON:
                with self._changed:
                    if self._closers[host] == 0:
                        self._nova.enable(host, REASON)
