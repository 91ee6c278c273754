# SPDX-License-Identifier: Apache-2.0
"""Percentiles of pauses from a sketch that is small, mergeable and stored as plain JSON."""

import math
from collections.abc import Iterable, Sequence

from ddsketch.ddsketch import BaseDDSketch
from ddsketch.mapping import LogarithmicMapping
from ddsketch.store import DenseStore

#: Maximum relative error of a quantile. A stored sketch can only be read with the accuracy that it was
#: created with.
ACCURACY = 0.01

#: Shorter pauses count as this long, in milliseconds. It bounds the number of bins: 1 us to 1 h are 1100.
SHORTEST_MS = 0.001


class Sketch:
    """The distribution of some pauses.

    :param bins: as ``dump`` returns them
    """

    def __init__(self, bins: Iterable[Sequence[int]] = ()):
        # ddsketch itself serialises to protobuf only, but gives access to its stores
        self._store = DenseStore()
        for key, count in bins:
            self._store.add(key, count)
        self._sketch = BaseDDSketch(LogarithmicMapping(ACCURACY), self._store, DenseStore(), 0.0)

    @property
    def count(self) -> int:
        """The number of pauses."""
        return int(self._sketch.count)

    def add(self, pause_ms: float) -> None:
        """Add a pause."""
        self._sketch.add(max(pause_ms, SHORTEST_MS))

    def merge(self, other: "Sketch") -> None:
        """Add all pauses of another sketch."""
        self._sketch.merge(other._sketch)

    def quantile(self, q: float) -> float | None:
        """Return the shortest pause that a fraction of all pauses does not exceed, in milliseconds.

        :param q: the fraction, more than 0 and at most 1
        :returns: None when there was no pause
        """
        count = self.count
        if count < 2:
            return self._sketch.get_quantile_value(1.0)
        # ddsketch takes the rank below q * (count - 1), which would make the shorter of two pauses their p99
        rank = max(math.ceil(q * count) - 1, 0)
        return self._sketch.get_quantile_value(min((rank + 0.5) / (count - 1), 1.0))

    def dump(self) -> list[list[int]]:
        """Return the bins of the sketch, as ``bins`` takes them: pairs of a bin's key and its count."""
        bins = enumerate(self._store.bins, self._store.offset)
        return [[key, int(count)] for key, count in bins if count]


def merged(sketches: Iterable[Sketch]) -> Sketch:
    """Return the distribution of the pauses of all sketches."""
    whole = Sketch()
    for sketch in sketches:
        whole.merge(sketch)
    return whole
