# SPDX-License-Identifier: Apache-2.0
"""Track the hosts by their heartbeats, on the engine's own clock."""

import dataclasses
import functools
import math
import threading
from collections.abc import Callable
from typing import Any

from nova_colo.agent.rpcapi import ReplicaReport
from nova_colo.pair.arbitration import Observation
from nova_colo.pair.liveness import Watch
from nova_colo.pair.model import Replica, Role
from nova_colo.pair.reasons import Reason, read_all


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The state of the hosts at one moment.

    :param reports: last reports of the hosts that were alive
    :param reported_at: when these arrived, on the tracker's clock
    :param refusals: why agents refuse this engine's requests
    """

    reports: dict[str, dict[str, Any]]
    reported_at: dict[str, float]
    refusals: dict[str, Reason] = dataclasses.field(default_factory=dict)

    def unmet_requirements(self, host: str) -> list[Reason]:
        """Return why a host cannot run replicas; nothing if it can."""
        refusal = self.refusals.get(host)
        return [*read_all(self.reports[host].get("reasons")), *([refusal] if refusal else [])]

    def oldest_report(self, *hosts: str | None) -> float:
        """Return when the oldest report of some hosts has arrived; infinity if none of them is alive."""
        return min((self.reported_at[host] for host in hosts if host in self.reported_at), default=math.inf)

    def observation(self, host: str | None, server_id: str) -> Observation:
        """Return the observation of a server on a host."""
        if host is None or host not in self.reports:
            return Observation(False)
        replica = self.reports[host]["servers"].get(server_id)
        return Observation(True, replica_of(replica) if replica else None)

    def replicas(self, server_id: str) -> dict[str, Replica]:
        """Return a server's replicas by host."""
        return {host: replica_of(replica) for host, replica in self._by_server.get(server_id, {}).items()}

    def has_newer(self, server_id: str, epoch: int) -> bool:
        """Return whether a host has recorded a newer epoch of a server."""
        return any(replica["epoch"] > epoch for replica in self._by_server.get(server_id, {}).values())

    @functools.cached_property
    def _by_server(self) -> dict[str, dict[str, ReplicaReport]]:
        found: dict[str, dict[str, ReplicaReport]] = {}
        for host, report in self.reports.items():
            for server_id, replica in report["servers"].items():
                found.setdefault(server_id, {})[host] = replica
        return found


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
        self._reported_at: dict[str, float] = {}
        self._refusals: dict[str, Reason] = {}

    def record_answer(self, host: str, refusal: Reason | None) -> None:
        """Record that a host's agent has answered a request.

        :param refusal: why it refuses all requests of this engine; None if it does not
        """
        with self._lock:
            if refusal is None:
                self._refusals.pop(host, None)
            else:
                self._refusals[host] = refusal

    def record_heartbeat(self, host: str, report: dict[str, Any] | None) -> None:
        """Record a heartbeat.

        :param report: the replicas on the host; None for a heartbeat without a report
        """
        now = self._clock()
        with self._lock:
            if report is not None:
                self._reports[host] = report
                self._reported_at[host] = now
            elif not self._watch.alive(host, now):
                return  # its last report is older than its silence
            self._watch.record_heartbeat(host, now)

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

    def alive_count(self) -> int:
        """Return the number of hosts that are alive."""
        now = self._clock()
        with self._lock:
            return sum(self._watch.alive(host, now) for host in self._reports)

    def usable(self, host: str) -> bool:
        """Return whether a host's agent is alive, and the host can run replicas."""
        snapshot = self.snapshot()
        return host in snapshot.reports and not snapshot.unmet_requirements(host)

    def snapshot(self) -> Snapshot:
        """Return the hosts that are alive now, with their reports."""
        now = self._clock()
        with self._lock:
            alive = [host for host in self._reports if self._watch.alive(host, now)]
            return Snapshot(
                {host: self._reports[host] for host in alive},
                {host: self._reported_at[host] for host in alive},
                dict(self._refusals),
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
        replica.get("shut_down", False),
        replica.get("silent", False),
    )
