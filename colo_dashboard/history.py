# SPDX-License-Identifier: Apache-2.0
"""Charts of the history of a pair's checkpoints."""

import dataclasses
import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from novaclient_colo.fault_tolerance import Bucket, Checkpoints

CAUSES = (("mismatch", _("Mismatch")), ("periodic", _("Periodic")), ("forced", _("Forced")))
#: Size of a chart in its own units; the page scales it.
WIDTH, HEIGHT = 600, 120


@dataclasses.dataclass(frozen=True)
class Period:
    """A period that charts show, up to now.

    :ivar seconds: its length
    :ivar step: seconds per bar
    """

    slug: str
    label: Any
    seconds: int
    step: int

    def since(self) -> str:
        """Return the start of the period, in the API's format."""
        return (timezone.now() - datetime.timedelta(seconds=self.seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


PERIODS = (
    Period("5m", _("5 minutes"), 300, 10),
    Period("1h", _("1 hour"), 3600, 60),
    Period("24h", _("24 hours"), 86400, 1800),
)


def period(slug: str | None) -> Period:
    """Return a period by its slug; the hour if it is unknown."""
    return next((known for known in PERIODS if known.slug == slug), PERIODS[1])


@dataclasses.dataclass
class Bar:
    """The checkpoints within one step.

    :ivar start: when the step began
    :ivar counts: checkpoints by cause
    """

    start: datetime.datetime
    counts: dict[str, int] = dataclasses.field(default_factory=lambda: {cause: 0 for cause, _label in CAUSES})
    paused_ms: float = 0.0
    longest_ms: float | None = None

    @property
    def total(self) -> int:
        """The number of checkpoints of all causes."""
        return sum(self.counts.values())

    @property
    def mean_ms(self) -> float | None:
        """The mean pause of a checkpoint; None when no pause is known."""
        return self.paused_ms / self.total if self.total and self.longest_ms is not None else None

    def add(self, bucket: Bucket) -> None:
        """Add the checkpoints of a bucket."""
        for cause, _label in CAUSES:
            self.counts[cause] += getattr(bucket, cause)
        if bucket.pause_ms["mean"] is not None:
            self.paused_ms += bucket.pause_ms["mean"] * bucket.total
            self.longest_ms = max(self.longest_ms or 0.0, bucket.pause_ms["max"])


def bars(checkpoints: Checkpoints, of: Period) -> list[Bar]:
    """Return a bar for each step of a period, including those without a checkpoint.

    :param checkpoints: the history of the period
    """
    until = datetime.datetime.fromisoformat(checkpoints.until)
    last = int(until.timestamp()) // of.step
    first = last - of.seconds // of.step + 1
    by_number = {
        number: Bar(datetime.datetime.fromtimestamp(number * of.step, datetime.UTC))
        for number in range(first, last + 1)
    }
    for bucket in checkpoints.buckets:
        number = int(datetime.datetime.fromisoformat(bucket.start).timestamp()) // of.step
        if number in by_number:
            by_number[number].add(bucket)
    return list(by_number.values())


def chart(of: list[Bar]) -> dict[str, Any]:
    """Return the rectangles of the two charts, and the maxima of their axes."""
    most = max((bar.total for bar in of), default=0)
    longest = max((bar.longest_ms or 0.0 for bar in of), default=0.0)
    wide = WIDTH / max(len(of), 1)
    counts, pauses = [], []
    for number, bar in enumerate(of):
        top = float(HEIGHT)
        for cause, _label in CAUSES:
            high = HEIGHT * bar.counts[cause] / most if most else 0.0
            top -= high
            if high:
                counts.append(_rectangle(number, wide, top, high) | {"cause": cause})
        for kind, value in (("max", bar.longest_ms), ("mean", bar.mean_ms)):
            if value and longest:
                high = HEIGHT * value / longest
                pauses.append(_rectangle(number, wide, HEIGHT - high, high) | {"kind": kind})
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "counts": counts,
        "pauses": pauses,
        "most": most,
        "longest": longest,
    }


def _rectangle(number: int, wide: float, top: float, high: float) -> dict[str, str]:
    return {
        "x": f"{number * wide:.1f}",
        "y": f"{top:.1f}",
        "width": f"{wide * 0.85:.1f}",
        "height": f"{high:.1f}",
    }
