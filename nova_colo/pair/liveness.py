# SPDX-License-Identifier: Apache-2.0
"""Which hosts are silent, judged by a watcher that may itself have been stalled."""

import dataclasses


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

    def heard(self, host: str, now: float) -> None:
        """Note a heartbeat."""
        self._heard[host] = max(now, self._heard.get(host, now))

    def tick(self, now: float) -> None:
        """Tell the watch that its owner looks at it now; to be called about once an interval."""
        if self._ticked is not None and (stall := now - self._ticked - self.interval) > self.interval:
            self._heard = {host: min(now, at + stall) for host, at in self._heard.items()}
        self._ticked = now

    def alive(self, host: str, now: float) -> bool:
        """Return whether a host has been heard within the last missed heartbeats."""
        at = self._heard.get(host)
        return at is not None and now - at <= self.interval * self.missed
