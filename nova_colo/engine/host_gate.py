# SPDX-License-Identifier: Apache-2.0
"""Disable a host for the scheduler while Nova moves servers' records there.

Otherwise another server could take the capacity that the secondary has released.
"""

import collections
import contextlib
import threading
from collections.abc import Iterator

from nova_colo.engine.clients.nova import NovaClient

REASON = "nova-colo: a failover to this host is in progress"


class HostGate:
    """Disables hosts for the scheduler. Any number of moves may use one host at a time."""

    def __init__(self, nova: NovaClient):
        self._nova = nova
        self._lock = threading.Lock()
        self._moves: collections.Counter[str] = collections.Counter()

    @contextlib.contextmanager
    def closed(self, host: str) -> Iterator[None]:
        """Keep a host disabled until the last of its moves ends.

        A host that an operator has disabled stays disabled.
        """
        with self._lock:
            if self._moves[host] == 0:
                self._nova.disable(host, REASON)
            self._moves[host] += 1
        try:
            yield
        finally:
            with self._lock:
                self._moves[host] -= 1
                if self._moves[host] == 0:
                    self._nova.enable(host, REASON)

    def enable_orphaned(self) -> None:
        """Enable the hosts that a killed engine has left disabled."""
        for host, service in self._nova.compute_services().items():
            if service["status"] == "disabled" and service["disabled_reason"] == REASON:
                with self._lock:
                    if self._moves[host] == 0:
                        self._nova.enable(host, REASON)
