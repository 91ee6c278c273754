# SPDX-License-Identifier: Apache-2.0
"""Detection of silent hosts by a process that may itself have been stalled."""

import dataclasses
import math


@dataclasses.dataclass
class Watch:
    """The times of the hosts' last heartbeats, in seconds of one monotonic clock.

    Time in which the process itself was stalled (starved of CPU, suspended) does not count against the hosts.

    :param interval: seconds between heartbeats
    :param missed: a host is silent when this many heartbeats in a row are missing
    """

    interval: float
    missed: int
    _heard: dict[str, float] = dataclasses.field(default_factory=dict)
    _ticked: float | None = None
    _alive: set[str] = dataclasses.field(default_factory=set)

    def record_heartbeat(self, host: str, now: float) -> None:
        """Record a heartbeat of a host."""
        self._heard[host] = max(now, self._heard.get(host, now))

    def tick(self, now: float) -> bool:
        """Check the hosts now; call it about once per interval.

        :returns: whether a host has become silent since the last call
        """
        if self._ticked is not None and (stall := now - self._ticked - self.interval) > self.interval:
            self._heard = {host: min(now, at + stall) for host, at in self._heard.items()}
        self._ticked = now
        before, self._alive = self._alive, {host for host in self._heard if self.alive(host, now)}
        return not before <= self._alive

    def due(self, now: float) -> float:
        """Return the seconds until the next host is silent without a heartbeat; infinity when all are."""
        ends = (at + self.interval * self.missed for host, at in self._heard.items() if self.alive(host, now))
        return min(ends, default=math.inf) - now

    def alive(self, host: str, now: float) -> bool:
        """Return whether a host has sent one of its last ``missed`` heartbeats."""
        at = self._heard.get(host)
        return at is not None and now - at <= self.interval * self.missed
