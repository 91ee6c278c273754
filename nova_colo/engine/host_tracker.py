# SPDX-License-Identifier: Apache-2.0
"""What the engine sees of the hosts: their heartbeats, by its own clock."""

import dataclasses
import threading
import time
from typing import Any

from nova_colo.pair.arbitration import Observation
from nova_colo.pair.liveness import Watch
from nova_colo.pair.model import Replica, Role
from nova_colo.pair.reasons import read_all


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The hosts at one moment.

    :param reports: last reports of the hosts that were alive
    """

    reports: dict[str, dict[str, Any]]

    def observation(self, host: str | None, server_id: str) -> Observation:
        """Return what was known of a host with respect to a server."""
        if host is None or host not in self.reports:
            return Observation(False)
        replica = self.reports[host]["servers"].get(server_id)
        return Observation(True, replica_of(replica) if replica else None)


class HostView:
    """The last report of each host and whether it is alive. Safe to use from several threads.

    :param interval: seconds between heartbeats
    :param missed: how many missed ones make a host silent
    """

    def __init__(self, interval: float, missed: int):
        self._lock = threading.Lock()
        self._watch = Watch(interval, missed)
        self._reports: dict[str, dict[str, Any]] = {}

    def heard(self, host: str, report: dict[str, Any] | None, now: float) -> None:
        """Take a heartbeat in.

        :param report: what runs on the host; None when it says that it is there, and no more
        """
        with self._lock:
            if report is not None:
                self._reports[host] = report
            elif not self._watch.alive(host, now):
                return  # its last report is from before it was silent
            self._watch.heard(host, now)

    def tick(self, now: float) -> bool:
        """Note the time; to be called about once an interval. Returns whether a host has become silent since the last time."""
        with self._lock:
            return self._watch.tick(now)

    def due(self, now: float) -> float:
        """Return in how many seconds the next host becomes silent unless it is heard until then."""
        with self._lock:
            return self._watch.due(now)

    def alive(self, host: str, now: float) -> bool:
        """Return whether a host's agent is not silent."""
        with self._lock:
            return self._watch.alive(host, now)

    def usable(self, host: str) -> bool:
        """Return whether a host's agent answers now and says that the host can carry replicas of pairs."""
        with self._lock:
            return self._watch.alive(host, time.monotonic()) and not self._reports[host].get("reasons")

    def snapshot(self, now: float) -> Snapshot:
        """Return what is known now."""
        with self._lock:
            return Snapshot(
                {host: report for host, report in self._reports.items() if self._watch.alive(host, now)}
            )


def replica_of(replica: dict[str, Any]) -> Replica:
    """Return one server's part of a heartbeat as the core knows it."""
    reasons = tuple(read_all(replica.get("reasons")))
    return Replica(Role(replica["role"]), replica["epoch"], replica["running"], replica["link_up"], reasons)
