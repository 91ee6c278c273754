# SPDX-License-Identifier: Apache-2.0
"""The running record of checkpoints, and its sketches of pauses."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_colo.db.models import Bucket
from nova_colo.pair.checkpoint_history import GRACE_S, KEEP_S, WIDTH, Ledger
from nova_colo.pair.checkpoint_stats import WINDOW_S, Checkpoint, Totals
from nova_colo.pair.model import Cause
from nova_colo.pair.pause_histogram import ACCURACY, Sketch, merged

pauses = st.lists(st.floats(0.01, 60_000), min_size=1, max_size=60)
causes = st.sampled_from(Cause)
#: Seconds since the previous checkpoint, cause, pause, and the delay until it is known.
records = st.lists(st.tuples(st.floats(0, 60), causes, st.floats(0.1, 5000), st.floats(0, 20)), max_size=60)


def sketch_of(values):
    sketch = Sketch()
    for value in values:
        sketch.add(value)
    return sketch


def recorded(record, ledger=None):
    """Return a ledger with these checkpoints, the checkpoints, and the time at their end."""
    ledger, at, now, taken = ledger or Ledger(1000.0), 1000.0, 1000.0, []
    for gap, cause, pause, delay in record:
        at += gap
        now = max(now, at + delay)
        taken.append(Checkpoint(at, cause, pause))
        ledger.add(taken[-1], now)
    return ledger, taken, now


@given(pauses, st.floats(0.01, 1))
def test_a_quantile_is_the_pause_of_that_rank_but_for_the_accuracy(values, q):
    exact = sorted(values)[max(math.ceil(q * len(values)) - 1, 0)]
    assert sketch_of(values).quantile(q) == pytest.approx(exact, rel=ACCURACY * 1.001)


@pytest.mark.parametrize("count", range(1, 60))
def test_every_rank_is_found(count):
    sketch = sketch_of(range(1, count + 1))
    for rank in range(1, count + 1):
        assert sketch.quantile((rank - 0.5) / count) == pytest.approx(rank, rel=ACCURACY * 1.001)


@given(pauses, pauses)
def test_merged_sketches_are_as_one_of_all(some, others):
    assert merged([sketch_of(some), Sketch(), sketch_of(others)]).dump() == sketch_of(some + others).dump()


@given(pauses)
def test_a_sketch_rests_as_json(values):
    sketch = sketch_of(values)
    again = Sketch(json.loads(json.dumps(sketch.dump())))
    assert again.count == len(values)
    assert again.dump() == sketch.dump()
    assert again.quantile(0.99) == sketch.quantile(0.99)


def test_an_empty_sketch_has_no_quantile_and_a_pause_of_nothing_counts():
    assert Sketch().quantile(0.99) is None
    assert sketch_of([0.0, 0.0]).count == 2


@given(records)
def test_a_restored_ledger_is_the_same(record):
    ledger, _, now = recorded(record)
    again = Ledger.restore(json.loads(json.dumps(ledger.record())))
    assert again.record() == ledger.record()
    assert again.figures(now) == ledger.figures(now)


@given(records, st.integers(0, 9))
def test_totals_go_on_from_what_was_counted_before(record, before):
    ledger, taken, now = recorded(record, Ledger(1000.0, Totals(mismatch=before)))
    figures = ledger.figures(now)
    assert figures["total"] == before + len(taken)
    assert figures["mismatch"] == before + sum(c.cause == Cause.MISMATCH for c in taken)


@given(records)
def test_each_checkpoint_is_in_one_bucket_and_none_is_kept_that_is_too_old(record):
    ledger, taken, now = recorded([(gap / 10, *rest) for gap, *rest in record])
    kept = ledger.closed(0, now + WIDTH + GRACE_S)
    assert sum(b["mismatch"] + b["periodic"] + b["forced"] for b in kept) == len(taken)
    assert sum(b["pause_sum_ms"] for b in kept) == pytest.approx(sum(c.pause_ms for c in taken))
    assert ledger.closed(0, now + KEEP_S + WIDTH) == []
    ledger.prune(now + KEEP_S + WIDTH)
    assert ledger.record()["buckets"] == []


@given(records)
def test_a_bucket_that_was_reported_never_changes(record):
    ledger, at, now, reported = Ledger(1000.0), 1000.0, 1000.0, {}
    for gap, cause, pause, delay in record:
        at += gap
        now = max(now, at + delay)
        ledger.add(Checkpoint(at, cause, pause), now)
        for bucket in ledger.closed(0, now):
            assert reported.setdefault(bucket["start"], bucket) == bucket


def test_a_bucket_is_what_the_history_stores():
    ledger = Ledger(0.0)
    for at, cause, pause in (
        (12.0, Cause.MISMATCH, 5.0),
        (13.0, Cause.FORCED, 15.0),
        (25.0, Cause.PERIODIC, 9.0),
    ):
        ledger.add(Checkpoint(at, cause, pause), at)
    (bucket,) = ledger.closed(0, 25.0)
    assert bucket == {
        "start": 10,
        "mismatch": 1,
        "periodic": 0,
        "forced": 1,
        "pause_sum_ms": 20.0,
        "pause_max_ms": 15.0,
    }
    assert bucket.keys() | {"server_id", "seconds"} == set(Bucket.__table__.columns.keys())
    assert ledger.closed(20, 25.0) == []


def test_a_pause_that_outlasts_its_bucket_is_not_lost():
    ledger = Ledger(0.0)
    ledger.add(Checkpoint(8.0, Cause.MISMATCH, 20_000.0), 28.0)
    assert [(b["start"], b["pause_max_ms"]) for b in ledger.closed(0, 60.0)] == [(20, 20_000.0)]


@given(records)
def test_the_window_is_of_recent_checkpoints_only(record):
    ledger, taken, now = recorded([(gap, cause, pause, 0.0) for gap, cause, pause, _ in record])
    inside = [c.pause_ms for c in taken if c.at >= math.ceil((now - WINDOW_S) / WIDTH) * WIDTH]
    figures = ledger.figures(now)
    if not inside:
        assert figures["pause_ms"] == {"mean": None, "p99": None, "max": None}
        assert figures["per_min"] == 0
        return
    pause_figures = figures["pause_ms"]
    assert pause_figures["max"] == round(max(inside), 2)
    assert pause_figures["mean"] == pytest.approx(sum(inside) / len(inside), abs=0.01)
    # as exact as the sketch, and rounded
    assert pause_figures["p99"] == pytest.approx(max(inside), rel=0, abs=ACCURACY * max(inside) + 0.0051)
    assert pause_figures["p99"] <= pause_figures["max"]


def test_the_figures_are_the_wires_checkpoints():
    ledger = Ledger(0.0)
    for at in (10.0, 20.0, 30.0):
        ledger.add(Checkpoint(at, Cause.PERIODIC, 10.0), at)
    assert ledger.figures(60.0) == {
        **{
            "total": 3,
            "mismatch": 0,
            "periodic": 3,
            "forced": 0,
            "last_at": "1970-01-01T00:00:30Z",
            "window_s": 300,
        },
        **{"per_min": 3.0, "pause_ms": {"mean": 10.0, "p99": pytest.approx(10.0, rel=ACCURACY), "max": 10.0}},
    }
    assert ledger.rate(60.0, Cause.PERIODIC) == 3.0
    assert Ledger(0.0).figures(60.0)["last_at"] is None


def test_a_steady_rate_is_told_as_it_is_wherever_the_window_begins():
    ledger = Ledger(0.0)
    for second in range(0, 700, 2):
        ledger.add(Checkpoint(float(second), Cause.PERIODIC, 9.0), float(second))
    for now in (698.0, 701.0, 699.9):
        assert ledger.figures(now)["per_min"] == pytest.approx(30, abs=0.5)


def test_a_record_does_not_grow_without_end():
    ledger = Ledger(0.0)
    for second in range(0, 5000, 5):
        ledger.add(Checkpoint(float(second), Cause.PERIODIC, 9.0), float(second))
    assert len(ledger.record()["buckets"]) <= KEEP_S / WIDTH + 1
