# SPDX-License-Identifier: Apache-2.0
"""A pair's checkpoint history: totals, buckets of the last 15 minutes, and the window's figures."""

import dataclasses
import datetime
import math
from typing import Any

from nova_colo.pair.checkpoint_stats import WINDOW_S, Checkpoint, Totals
from nova_colo.pair.model import Cause
from nova_colo.pair.pause_histogram import Sketch, merged

#: Width of a bucket, and how long buckets are kept, in seconds.
WIDTH, KEEP_S = 10, 900

#: A bucket stays open for this many seconds after its end: a checkpoint is counted when the guest runs again.
GRACE_S = 5


@dataclasses.dataclass
class Bucket:
    """The checkpoints of WIDTH seconds.

    :param start: seconds since the epoch, a multiple of WIDTH
    """

    start: int
    mismatch: int = 0
    periodic: int = 0
    forced: int = 0
    pause_sum_ms: float = 0.0
    pause_max_ms: float = 0.0
    pause_sketch: Sketch = dataclasses.field(default_factory=Sketch)

    @property
    def count(self) -> int:
        """The number of checkpoints of all causes."""
        return self.mismatch + self.periodic + self.forced

    def add(self, checkpoint: Checkpoint) -> None:
        """Add a checkpoint."""
        setattr(self, checkpoint.cause.value, getattr(self, checkpoint.cause.value) + 1)
        self.pause_sum_ms += checkpoint.pause_ms
        self.pause_max_ms = max(self.pause_max_ms, checkpoint.pause_ms)
        self.pause_sketch.add(checkpoint.pause_ms)

    def counts(self) -> dict[str, Any]:
        """Return the bucket as Backend.buckets does."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name != "pause_sketch"
        }

    def is_closed(self, now: float) -> bool:
        """Return whether no checkpoint is added any more."""
        return self.start + WIDTH + GRACE_S <= now


class Ledger:
    """The checkpoints of one pair.

    :param since: when counting began, in seconds since the epoch
    :param totals: checkpoints counted before
    """

    def __init__(self, since: float, totals: Totals | None = None):
        self.since = since
        self.totals = totals or Totals()
        self.last_at: float | None = None
        self._buckets: dict[int, Bucket] = {}

    @classmethod
    def restore(cls, record: dict[str, Any]) -> "Ledger":
        """Return the ledger of a stored record.

        :param record: as ``record`` returns it
        """
        ledger = cls(record["since"], Totals(**record["totals"]))
        ledger.last_at = record["last_at"]
        for bucket in record["buckets"]:
            ledger._buckets[bucket["start"]] = Bucket(
                **bucket | {"pause_sketch": Sketch(bucket["pause_sketch"])}
            )
        return ledger

    def record(self) -> dict[str, Any]:
        """Return the ledger as a JSON object."""
        buckets = [
            bucket.counts() | {"pause_sketch": bucket.pause_sketch.dump()}
            for bucket in self._buckets.values()
        ]
        totals = dataclasses.asdict(self.totals)
        return {"since": self.since, "totals": totals, "last_at": self.last_at, "buckets": buckets}

    def add(self, checkpoint: Checkpoint, now: float, unseen: Totals | None = None) -> None:
        """Add a checkpoint, and delete buckets that are too old.

        A checkpoint reported after its own bucket was closed goes into the first open one: closed buckets
        never change, and the longest pauses, which are reported late, are not lost.

        :param unseen: earlier checkpoints whose events were missed; their times are unknown, so only the
            totals include them
        """
        newest = math.floor(now / WIDTH) * WIDTH
        oldest = math.floor((now - GRACE_S) / WIDTH) * WIDTH
        start = min(max(math.floor(checkpoint.at / WIDTH) * WIDTH, oldest), newest)
        self._buckets.setdefault(start, Bucket(start)).add(checkpoint)
        self.totals = self.totals.plus([checkpoint]) + (unseen or Totals())
        self.last_at = max(checkpoint.at, self.last_at or checkpoint.at)
        self.prune(now)

    def prune(self, now: float) -> None:
        """Delete buckets that are too old."""
        self._buckets = {
            start: bucket for start, bucket in self._buckets.items() if start + WIDTH > now - KEEP_S
        }

    def closed(self, since: int, now: float) -> list[dict[str, Any]]:
        """Return the closed buckets as Backend.buckets does, oldest first.

        :param since: seconds since the epoch: only those that begin then or later
        """
        recent = [
            bucket
            for start, bucket in sorted(self._buckets.items())
            if start >= since and start + WIDTH > now - KEEP_S
        ]
        return [bucket.counts() for bucket in recent if bucket.is_closed(now)]

    def rate(self, now: float, cause: Cause) -> float:
        """Return the checkpoints of one cause per minute in the window that ends now."""
        return sum(getattr(bucket, cause.value) for bucket in self._window(now)) / self._minutes(now)

    def figures(self, now: float) -> dict[str, Any]:
        """Return the API's ``checkpoints`` object; the pauses are None when none was measured."""
        recent = self._window(now)
        count = sum(bucket.count for bucket in recent)
        return {
            "total": self.totals.total,
            **dataclasses.asdict(self.totals),
            "last_at": _iso(self.last_at),
            "window_s": int(WINDOW_S),
            "per_min": round(count / self._minutes(now), 2),
            "pause_ms": _pauses(recent, count),
        }

    def _window(self, now: float) -> list[Bucket]:
        return [bucket for bucket in self._buckets.values() if bucket.start >= _edge(now)]

    def _minutes(self, now: float) -> float:
        """Return the minutes that the window's buckets cover, at most the time since counting began."""
        return max(now - max(_edge(now), self.since), 1.0) / 60


def _edge(now: float) -> int:
    """Return the start of the first bucket that lies wholly inside the window."""
    return math.ceil((now - WINDOW_S) / WIDTH) * WIDTH


def _pauses(buckets: list[Bucket], count: int) -> dict[str, float | None]:
    if not count:
        return {"mean": None, "p99": None, "max": None}
    longest = max(bucket.pause_max_ms for bucket in buckets)
    p99 = merged(bucket.pause_sketch for bucket in buckets).quantile(0.99) or 0.0
    mean = sum(bucket.pause_sum_ms for bucket in buckets) / count
    return {"mean": round(mean, 2), "p99": round(min(p99, longest), 2), "max": round(longest, 2)}


def _iso(at: float | None) -> str | None:
    return (
        None
        if at is None
        else datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    )
