# SPDX-License-Identifier: Apache-2.0
"""Checkpoints and their causes are inferred from QEMU's events."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nova_colo.pair import checkpoint_events
from nova_colo.pair.checkpoint_stats import Totals
from nova_colo.pair.model import Cause

DELAY_S = 2.0


def in_colo(delay_s=DELAY_S, at=0.0, buffered=False):
    """Return the stream of a pair whose first checkpoint, which was forced, began and ended at a time."""
    stream, checkpoint, _ = (
        checkpoint_events.attach(at - 0.1, delay_s * 1000, buffered)
        .forced(at - 0.1)
        .stop(at)
        .migration_pass(4)
        .resume(at)
    )
    assert checkpoint.cause == Cause.FORCED
    return stream


def observe(stream, at, pause=0.01):
    """Return the stream after a checkpoint, and the inferred cause."""
    stream, checkpoint, _ = stream.stop(at).migration_pass((stream.counted or 3) + 1).resume(at + pause)
    return stream, checkpoint.cause if checkpoint else None


def causes(stream, *times):
    inferred = []
    for at in times:
        stream, cause = observe(stream, at)
        inferred.append(cause)
    return inferred


def test_a_checkpoint_has_the_time_of_its_stop_and_the_pause_until_its_resume():
    _, checkpoint, _ = in_colo().stop(2.0).migration_pass(5).resume(2.0125)
    assert (checkpoint.at, checkpoint.pause_ms) == (2.0, pytest.approx(12.5))


def test_what_comes_by_the_timer_is_periodic_and_what_comes_earlier_is_a_mismatch():
    inferred = causes(in_colo(), 2.0, 4.003, 4.5, 6.5, 6.51)
    assert inferred == [Cause.PERIODIC, Cause.PERIODIC, Cause.MISMATCH, Cause.PERIODIC, Cause.MISMATCH]


def test_one_that_was_asked_for_is_forced_once():
    assert causes(in_colo().forced(0.5), 0.51, 0.9, 2.9) == [Cause.FORCED, Cause.MISMATCH, Cause.PERIODIC]


def test_setting_the_delay_forces_one_and_counts_from_there():
    stream = in_colo().delay_set(0.5, 1000)
    assert causes(stream, 0.51, 1.51, 2.0, 3.0) == [
        Cause.FORCED,
        Cause.PERIODIC,
        Cause.MISMATCH,
        Cause.PERIODIC,
    ]


def test_two_that_are_asked_for_at_once_are_one():
    assert causes(in_colo().forced(0.5).forced(0.505), 0.504, 1.0) == [Cause.FORCED, Cause.MISMATCH]


def test_a_stop_from_before_it_was_asked_for_is_not_forced():
    stream = in_colo().forced(1.0)
    assert causes(stream, 0.999, 1.02) == [Cause.MISMATCH, Cause.FORCED]


def test_one_that_was_asked_for_during_another_may_have_been_part_of_it():
    stream, *_ = in_colo().stop(1.0).migration_pass(5).forced(1.005).resume(1.01)
    assert causes(stream, 3.005) == [Cause.PERIODIC]
    assert causes(stream, 1.012, 3.01) == [Cause.FORCED, Cause.PERIODIC]
    assert causes(stream.forced(2.0), 2.01) == [Cause.FORCED]


def test_one_that_was_asked_for_during_another_arms_the_timer_either_way():
    stream, *_ = in_colo().stop(1.0).migration_pass(5).forced(1.4).resume(1.5)
    assert causes(stream, 3.05) == [Cause.MISMATCH]
    assert causes(stream, 3.4) == [Cause.PERIODIC]


def test_with_buffered_output_all_are_periodic_but_forced_ones():
    stream = in_colo(0.1, buffered=True)
    assert causes(stream.forced(0.21), 0.215, 0.25, 0.35) == [Cause.FORCED, Cause.PERIODIC, Cause.PERIODIC]
    assert causes(stream.buffering(False), 0.05) == [Cause.MISMATCH]


def test_pauses_longer_than_the_delay_do_not_make_mismatches():
    stream = in_colo(0.1)
    stream, first = observe(stream, 0.1, pause=0.3)
    assert causes(stream, 0.402) == [first] == [Cause.PERIODIC]


def test_after_a_gap_a_whole_delay_without_one_means_the_timer():
    stream, _ = observe(in_colo(), 0.5)
    assert causes(stream.reconnected(10.0), 12.0, 12.5) == [Cause.PERIODIC, Cause.MISMATCH]


def test_after_a_gap_the_first_one_is_taken_for_what_the_last_one_was():
    stream, last = observe(in_colo(), 0.5)
    assert causes(stream.reconnected(10.0), 10.5) == [last] == [Cause.MISMATCH]
    stream, _ = observe(stream.forced(0.6), 0.61)
    assert causes(stream.reconnected(10.0), 10.5) == [Cause.MISMATCH]
    assert causes(checkpoint_events.attach(10.0, 2000), 10.5, 12.5) == [Cause.PERIODIC, Cause.PERIODIC]


def test_a_stop_without_a_pass_is_no_checkpoint():
    stream, checkpoint, unseen = (
        in_colo().stop(1.0).resume(1.1)
    )  # COLO has ended, or the guest was stopped by a command
    assert (checkpoint, unseen, stream.counted) == (None, Totals(), 4)


def test_half_a_checkpoint_is_counted_with_the_next_one():
    stream, checkpoint, unseen = in_colo().stop(2.0).migration_pass(5).reconnected(2.005).resume(2.01)
    assert (checkpoint, unseen) == (None, Totals())
    _, checkpoint, unseen = stream.stop(4.001).migration_pass(6).resume(4.01)
    assert (checkpoint.cause, unseen) == (Cause.PERIODIC, Totals(periodic=1))


def test_checkpoints_that_nobody_has_heard_of_are_counted_by_their_numbers():
    stream, *_ = in_colo().reconnected(20.0).stop(20.5).migration_pass(14).resume(20.6)
    assert stream.counted == 14
    unseen = in_colo().reconnected(20.0).stop(20.5).migration_pass(14).resume(20.6)[2]
    assert unseen == Totals(
        periodic=9
    )  # ten intervals of two seconds each, so that the timer is the likely cause
    unseen = in_colo().reconnected(20.0).stop(20.5).migration_pass(44).resume(20.6)[2]
    assert unseen == Totals(mismatch=39)
    unseen = in_colo(buffered=True).reconnected(20.0).stop(20.5).migration_pass(44).resume(20.6)[2]
    assert unseen == Totals(periodic=39)


def test_an_agent_that_is_back_counts_what_was_taken_without_it():
    stream = checkpoint_events.attach(30.0, 2000, counted=4, counted_at=0.0)
    assert stream.stop(30.5).migration_pass(20).resume(30.6)[2] == Totals(periodic=15)
    assert checkpoint_events.attach(30.0, 2000).stop(30.5).migration_pass(20).resume(30.6)[2] == Totals()


def test_a_qemu_with_several_passes_for_each_checkpoint():
    assert in_colo().stop(2.0).migration_pass(5).migration_pass(6).resume(2.1)[2] == Totals()
    stream, *_ = in_colo().stop(2.0).migration_pass(5).migration_pass(6).resume(2.1)
    assert stream.reconnected(3.0).stop(8.0).migration_pass(11).migration_pass(12).resume(8.1)[2] == Totals(
        periodic=2
    )


def test_a_clock_that_is_set_back_makes_no_mismatch_and_no_negative_pause():
    stream, _ = observe(in_colo(at=100.0), 102.0)
    assert causes(stream, 50.0, 52.0) == [Cause.PERIODIC, Cause.PERIODIC]
    assert stream.stop(104.0).migration_pass(9).resume(60.0)[1].pause_ms == 0


# --- a model of QEMU's COLO thread: what sets its event, when it clears it, and when the timer is armed

latencies = st.floats(0.001, 0.02)
steps = st.lists(
    st.tuples(
        st.sampled_from(Cause),
        st.floats(0.2, 1.5),
        latencies,
        st.floats(0.005, 0.06),
        st.none() | st.floats(0.05, 0.95),
    ),
    max_size=40,
)
CLEARED = 0.8


@given(steps)
def test_every_cause_is_told_as_it_was(steps):
    stream, armed, resumed, due = in_colo(), 0.0, 0.0, False
    for cause, wait, latency, pause, during in steps:
        if due:  # requested after the last checkpoint had cleared the event
            truth, stopped = Cause.FORCED, resumed + latency
        else:
            truth, armed = cause, armed + DELAY_S if cause == Cause.PERIODIC else resumed + wait
            stopped = armed + latency
            if cause == Cause.FORCED:
                stream = stream.forced(armed)
        stream, due = stream.stop(stopped).migration_pass(stream.counted + 1), False
        resumed = stopped + pause
        if during is not None:
            armed, due = stopped + during * pause, during > CLEARED
            stream = stream.forced(armed)
        stream, checkpoint, unseen = stream.resume(resumed)
        assert (checkpoint.cause, unseen) == (truth, Totals())
        assert checkpoint.pause_ms == pytest.approx(pause * 1000)


calls = st.one_of(
    st.tuples(st.sampled_from(["stop", "resume", "forced", "reconnected"]), st.floats(0, 100)),
    st.tuples(st.just("delay_set"), st.floats(0, 100), st.floats(0, 20_000)),
    st.tuples(st.just("buffering"), st.booleans()),
    st.tuples(st.just("migration_pass"), st.integers(1, 50)),
)


@example(
    [
        ("stop", 0.0),
        ("migration_pass", 1),
        ("resume", 1.0),
        ("stop", 2.0),
        ("migration_pass", 5),
        ("migration_pass", 4),
        ("resume", 3.0),
    ]
)
@example(
    [
        ("stop", 0.0),
        ("migration_pass", 1),
        ("resume", 1.0),
        ("stop", 2.0),
        ("migration_pass", 50),
        ("migration_pass", 2),
        ("resume", 3.0),
    ]
)
@given(st.lists(calls, max_size=40))
def test_no_order_of_events_breaks_it_and_none_gives_more_checkpoints_than_stops(calls):
    stream, stops, checkpoints, unseen = checkpoint_events.attach(0.0, 2000), 0, [], Totals()
    for name, *arguments in calls:
        result = getattr(stream, name)(*arguments)
        stream, checkpoint, more = result if name == "resume" else (result, None, Totals())
        unseen += more
        stops += name == "stop"
        checkpoints += [checkpoint] if checkpoint else []
    assert len(checkpoints) <= stops
    assert all(c.pause_ms >= 0 for c in checkpoints)
    assert min(unseen.mismatch, unseen.periodic, unseen.forced) >= 0
