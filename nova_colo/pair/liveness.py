# SPDX-License-Identifier: Apache-2.0
"""Which hosts are silent, judged by a watcher that may itself have been stalled."""

import dataclasses
import math


@dataclasses.dataclass
class Watch:
    """Remembers when each host was last heard, in seconds of one monotonic clock.

    A watcher that was itself stalled (starved of CPU, suspended) must not blame the hosts: the time it overslept is not counted
    against them.

    :param interval: seconds between heartbeats
    :param missed: how many heartbeats in a row make a host silent
    """

    interval: float
    missed: int
    _heard: dict[str, float] = dataclasses.field(default_factory=dict)
    _ticked: float | None = None
    _alive: set[str] = dataclasses.field(default_factory=set)

    def heard(self, host: str, now: float) -> None:
        """Note a heartbeat."""
        self._heard[host] = max(now, self._heard.get(host, now))

    def tick(self, now: float) -> bool:
        """Tell the watch that its owner looks at it now; to be called about once an interval.

        :returns: whether a host has become silent since the last time
        """
        if self._ticked is not None and (stall := now - self._ticked - self.interval) > self.interval:
            self._heard = {host: min(now, at + stall) for host, at in self._heard.items()}
        self._ticked = now
        before, self._alive = self._alive, {host for host in self._heard if self.alive(host, now)}
        return not before <= self._alive

    def due(self, now: float) -> float:
        """Return in how many seconds the next host becomes silent unless it is heard until then; infinity when all are."""
        ends = (at + self.interval * self.missed for host, at in self._heard.items() if self.alive(host, now))
        return min(ends, default=math.inf) - now

    def alive(self, host: str, now: float) -> bool:
        """Return whether a host has been heard within the last missed heartbeats."""
        at = self._heard.get(host)
        return at is not None and now - at <= self.interval * self.missed
