# SPDX-License-Identifier: Apache-2.0
"""Checkpoints and their causes are found in what QEMU tells."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_colo.pair import stream
from nova_colo.pair.model import Cause

DELAY_S = 2.0


def in_colo(delay_s=DELAY_S, at=0.0, buffered=False):
    """Return the stream of a pair whose first synchronisation ended at a time."""
    found, checkpoint = stream.begin(delay_s * 1000, buffered).stop(at - 0.3).resume(at)
    assert checkpoint is None
    return found


def see(found, at, pause=0.01):
    """Return the stream after a STOP and a RESUME, and the cause that was told."""
    found, checkpoint = found.stop(at).resume(at + pause)
    return found, checkpoint.cause if checkpoint else None


def causes(found, *times):
    told = []
    for at in times:
        found, cause = see(found, at)
        told.append(cause)
    return told


def test_a_checkpoint_has_the_time_of_its_stop_and_the_pause_until_its_resume():
    _, checkpoint = in_colo().stop(2.0).resume(2.0125)
    assert (checkpoint.at, checkpoint.pause_ms) == (2.0, pytest.approx(12.5))


def test_what_comes_by_the_timer_is_periodic_and_what_comes_earlier_is_a_mismatch():
    told = causes(in_colo(), 2.0, 4.003, 4.5, 6.5, 6.51)
    assert told == [Cause.PERIODIC, Cause.PERIODIC, Cause.MISMATCH, Cause.PERIODIC, Cause.MISMATCH]


def test_one_that_was_asked_for_is_forced_once():
    assert causes(in_colo().forced(0.5), 0.51, 0.9, 2.9) == [Cause.FORCED, Cause.MISMATCH, Cause.PERIODIC]


def test_setting_the_delay_forces_one_and_counts_from_there():
    found = in_colo().delay_set(0.5, 1000)
    assert causes(found, 0.51, 1.51, 2.0, 3.0) == [Cause.FORCED, Cause.PERIODIC, Cause.MISMATCH, Cause.PERIODIC]


def test_two_that_are_asked_for_at_once_are_one():
    assert causes(in_colo().forced(0.5).forced(0.505), 0.504, 1.0) == [Cause.FORCED, Cause.MISMATCH]


def test_a_stop_from_before_it_was_asked_for_is_not_forced():
    found = in_colo().forced(1.0)
    assert causes(found, 0.999, 1.02) == [Cause.MISMATCH, Cause.FORCED]


def test_one_that_was_asked_for_during_another_may_have_been_part_of_it():
    found, _ = in_colo().stop(1.0).forced(1.005).resume(1.01)
    assert causes(found, 3.005) == [Cause.PERIODIC]
    assert causes(found, 1.012, 3.01) == [Cause.FORCED, Cause.PERIODIC]
    assert causes(found.forced(2.0), 2.01) == [Cause.FORCED]


def test_one_that_was_asked_for_during_another_arms_the_timer_either_way():
    found, _ = in_colo().stop(1.0).forced(1.4).resume(1.5)
    assert causes(found, 3.05) == [Cause.MISMATCH]
    assert causes(found, 3.4) == [Cause.PERIODIC]


def test_own_stops_are_no_checkpoints_and_do_not_disturb_the_timer():
    found = in_colo().own_begins(0.5)
    found, cause = see(found, 0.501, 0.004)
    assert cause is None
    assert causes(found.own_ends(0.51), 2.0) == [Cause.PERIODIC]


def test_an_own_stop_whose_events_come_late_is_still_our_own():
    found = in_colo().own_begins(0.5).own_ends(0.51)
    assert causes(found, 0.501, 0.7) == [None, Cause.MISMATCH]


def test_own_stops_before_colo_are_not_the_first_synchronisation():
    found = stream.begin(DELAY_S * 1000).own_begins(1.0)
    found, _ = see(found, 1.1)
    found = found.own_ends(1.2)
    assert not found.synchronised
    assert causes(found, 5.0, 7.01, 7.5) == [None, Cause.PERIODIC, Cause.MISMATCH]


def test_the_delay_that_is_set_before_colo_forces_nothing():
    found = stream.begin(20_000).delay_set(0.0, DELAY_S * 1000)
    assert causes(found, 1.0, 3.01) == [None, Cause.PERIODIC]


def test_with_buffered_output_all_are_periodic_but_forced_ones():
    found = in_colo(0.1, buffered=True)
    assert causes(found.forced(0.21), 0.215, 0.25, 0.35) == [Cause.FORCED, Cause.PERIODIC, Cause.PERIODIC]
    assert causes(found.buffering(False), 0.05) == [Cause.MISMATCH]


def test_pauses_longer_than_the_delay_do_not_make_mismatches():
    found = in_colo(0.1)
    found, first = see(found, 0.1, pause=0.3)
    assert causes(found, 0.402) == [first] == [Cause.PERIODIC]


def test_after_a_gap_a_whole_delay_without_one_means_the_timer():
    found, _ = see(in_colo(), 0.5)
    assert causes(found.reconnected(10.0), 12.0, 12.5) == [Cause.PERIODIC, Cause.MISMATCH]


def test_after_a_gap_the_first_one_is_taken_for_what_the_last_one_was():
    found, last = see(in_colo(), 0.5)
    assert causes(found.reconnected(10.0), 10.5) == [last] == [Cause.MISMATCH]
    found, _ = see(found.forced(0.6), 0.61)
    assert causes(found.reconnected(10.0), 10.5) == [Cause.MISMATCH]
    assert causes(stream.attach(10.0, 2000), 10.5, 12.5) == [Cause.PERIODIC, Cause.PERIODIC]


def test_half_a_checkpoint_is_none():
    found, checkpoint = in_colo().stop(2.0).reconnected(2.005).resume(2.01)
    assert checkpoint is None
    found = found.stop(2.5).own_begins(3.0).stop(3.001)  # a RESUME is missing
    found, checkpoint = found.resume(3.01)
    assert checkpoint is None


def test_a_clock_that_is_set_back_makes_no_mismatch_and_no_negative_pause():
    found, _ = see(in_colo(at=100.0), 102.0)
    assert causes(found, 50.0, 52.0) == [Cause.PERIODIC, Cause.PERIODIC]
    assert found.stop(104.0).resume(60.0)[1].pause_ms == 0


# --- a model of QEMU's COLO thread: what sets its event, when it clears it, and when the timer is armed

latencies = st.floats(0.001, 0.02)
steps = st.lists(
    st.tuples(st.sampled_from(Cause), st.floats(0.2, 1.5), latencies, st.floats(0.005, 0.06), st.none() | st.floats(0.05, 0.95)),
    max_size=40,
)
CLEARED = 0.8


@given(steps)
def test_every_cause_is_told_as_it_was(steps):
    found, armed, resumed, due = in_colo(), 0.0, 0.0, False
    for cause, wait, latency, pause, during in steps:
        if due:  # asked for after the last one had cleared the event
            truth, stopped = Cause.FORCED, resumed + latency
        else:
            truth, armed = cause, armed + DELAY_S if cause == Cause.PERIODIC else resumed + wait
            stopped = armed + latency
            if cause == Cause.FORCED:
                found = found.forced(armed)
        found, due = found.stop(stopped), False
        resumed = stopped + pause
        if during is not None:
            armed, due = stopped + during * pause, during > CLEARED
            found = found.forced(armed)
        found, checkpoint = found.resume(resumed)
        assert checkpoint.cause == truth
        assert checkpoint.pause_ms == pytest.approx(pause * 1000)


calls = st.one_of(
    st.tuples(st.sampled_from(["stop", "resume", "forced", "own_begins", "own_ends", "reconnected"]), st.floats(0, 100)),
    st.tuples(st.just("delay_set"), st.floats(0, 100), st.floats(0, 20_000)),
    st.tuples(st.just("buffering"), st.booleans()),
)


@given(st.lists(calls, max_size=40), st.booleans())
def test_no_order_of_events_breaks_it_and_none_gives_more_checkpoints_than_stops(calls, attached):
    found, stops, checkpoints = stream.attach(0.0, 2000) if attached else stream.begin(2000), 0, []
    for name, *arguments in calls:
        result = getattr(found, name)(*arguments)
        found, checkpoint = result if name == "resume" else (result, None)
        stops += name == "stop"
        checkpoints += [checkpoint] if checkpoint else []
    assert len(checkpoints) <= stops
    assert all(c.pause_ms >= 0 for c in checkpoints)
