# SPDX-License-Identifier: Apache-2.0
"""Checkpoint accounting: totals by cause, and rate and pauses over a sliding window."""

import dataclasses
import math
from collections.abc import Iterable

from nova_colo.pair.model import Cause

#: Length of the window of rates and pauses, in seconds.
WINDOW_S = 300.0


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """One synchronisation primary -> secondary.

    :param at: seconds since the epoch
    :param pause_ms: how long the guest was paused
    """

    at: float
    cause: Cause
    pause_ms: float


@dataclasses.dataclass(frozen=True)
class Totals:
    """Checkpoints by cause since the server became an FT server."""

    mismatch: int = 0
    periodic: int = 0
    forced: int = 0

    @property
    def total(self) -> int:
        """The number of checkpoints of all causes."""
        return self.mismatch + self.periodic + self.forced

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            self.mismatch + other.mismatch, self.periodic + other.periodic, self.forced + other.forced
        )

    def plus(self, checkpoints: Iterable[Checkpoint]) -> "Totals":
        """Return the totals with further checkpoints added."""
        counts = dataclasses.asdict(self)
        for checkpoint in checkpoints:
            counts[checkpoint.cause.value] += 1
        return Totals(**counts)


@dataclasses.dataclass(frozen=True)
class Window:
    """Rate and pauses of the last WINDOW_S seconds; pauses are None when none was measured."""

    per_min: float
    pause_mean_ms: float | None
    pause_p99_ms: float | None
    pause_max_ms: float | None


def prune(checkpoints: Iterable[Checkpoint], now: float) -> tuple[Checkpoint, ...]:
    """Return the checkpoints inside the window that ends now."""
    return tuple(c for c in checkpoints if c.at > now - WINDOW_S)


def window(checkpoints: Iterable[Checkpoint], now: float, since: float) -> Window:
    """Return rate and pauses of the window that ends now.

    :param since: when counting began: the rate of a window that is not full yet is of the time since then
    """
    recent = prune(checkpoints, now)
    minutes = max(min(WINDOW_S, now - since), 1.0) / 60
    pauses = sorted(c.pause_ms for c in recent)
    if not pauses:
        return Window(0.0, None, None, None)
    p99 = pauses[max(math.ceil(0.99 * len(pauses)) - 1, 0)]
    return Window(len(pauses) / minutes, sum(pauses) / len(pauses), p99, pauses[-1])


def buckets(checkpoints: Iterable[Checkpoint], width: int, since: int, now: float) -> list[dict[str, float]]:
    """Return counts and pauses by interval, oldest first; intervals without a checkpoint are left out.

    :param width: seconds; intervals begin at multiples of it
    :param since: seconds since the epoch: only intervals that begin then or later
    :param now: only intervals that have ended by then
    :returns: ``start`` (seconds since the epoch), a count per cause, ``pause_sum_ms`` and ``pause_max_ms``
    """
    by_start: dict[int, dict[str, float]] = {}
    for checkpoint in checkpoints:
        start = int(checkpoint.at // width * width)
        if start < since or start + width > now:
            continue
        empty: dict[str, float] = {"start": start, "pause_sum_ms": 0.0, "pause_max_ms": 0.0} | {
            cause.value: 0 for cause in Cause
        }
        bucket = by_start.setdefault(start, empty)
        bucket[checkpoint.cause.value] += 1
        bucket["pause_sum_ms"] += checkpoint.pause_ms
        bucket["pause_max_ms"] = max(bucket["pause_max_ms"], checkpoint.pause_ms)
    return [by_start[start] for start in sorted(by_start)]
