# SPDX-License-Identifier: Apache-2.0
"""Track the hosts by their heartbeats, on the engine's own clock."""

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

from nova_colo.agent.rpcapi import ReplicaReport
from nova_colo.pair.arbitration import Observation
from nova_colo.pair.liveness import Watch
from nova_colo.pair.model import Replica, Role
from nova_colo.pair.reasons import read_all


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The state of the hosts at one moment.

    :param reports: last reports of the hosts that were alive
    """

    reports: dict[str, dict[str, Any]]

    def observation(self, host: str | None, server_id: str) -> Observation:
        """Return the observation of a server on a host."""
        if host is None or host not in self.reports:
            return Observation(False)
        replica = self.reports[host]["servers"].get(server_id)
        return Observation(True, replica_of(replica) if replica else None)


class HostTracker:
    """The last report of each host, and whether it is alive. Thread-safe.

    :param interval: seconds between heartbeats
    :param missed: number of missed heartbeats after which a host is silent
    :param clock: monotonic, in seconds
    """

    def __init__(self, interval: float, missed: int, clock: Callable[[], float]):
        self._clock = clock
        self._lock = threading.Lock()
        self._watch = Watch(interval, missed)
        self._reports: dict[str, dict[str, Any]] = {}

    def record_heartbeat(self, host: str, report: dict[str, Any] | None) -> None:
        """Record a heartbeat.

        :param report: the replicas on the host; None for a heartbeat without a report
        """
        now = self._clock()
        with self._lock:
            if report is not None:
                self._reports[host] = report
            elif not self._watch.alive(host, now):
                return  # its last report is older than its silence
            self._watch.heard(host, now)

    def tick(self) -> bool:
        """Record the time and return whether a host has become silent since the last call.

        Must be called about once an interval.
        """
        with self._lock:
            return self._watch.tick(self._clock())

    def due(self) -> float:
        """Return in how many seconds the next host becomes silent unless it sends a heartbeat."""
        with self._lock:
            return self._watch.due(self._clock())

    def alive(self, host: str) -> bool:
        """Return whether a host's agent is alive."""
        with self._lock:
            return self._watch.alive(host, self._clock())

    def usable(self, host: str) -> bool:
        """Return whether a host's agent is alive and reports no unmet requirements."""
        with self._lock:
            return self._watch.alive(host, self._clock()) and not self._reports[host].get("reasons")

    def snapshot(self) -> Snapshot:
        """Return the hosts that are alive now, with their reports."""
        now = self._clock()
        with self._lock:
            return Snapshot(
                {host: report for host, report in self._reports.items() if self._watch.alive(host, now)}
            )


def replica_of(replica: ReplicaReport) -> Replica:
    """Return one server's part of a heartbeat as the core's Replica."""
    reasons = tuple(read_all(replica.get("reasons")))
    return Replica(
        Role(replica["role"]),
        replica["epoch"],
        replica["running"],
        replica["link_up"],
        reasons,
        replica.get("disks_equal", True),
    )
