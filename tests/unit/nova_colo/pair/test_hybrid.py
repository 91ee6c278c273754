# SPDX-License-Identifier: Apache-2.0
"""The hybrid rule: a pair leaves COLO in a storm of mismatches, returns, and does not flap."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_colo.pair import hybrid
from nova_colo.pair.checkpoint_stats import Checkpoint
from nova_colo.pair.hybrid import Rule
from nova_colo.pair.model import Cause, Mode

RULE = Rule(run=3, short_s=0.5, first_wait_s=10.0, growth=2.0, max_wait_s=80.0, calm_s=60.0)


def mismatches(state, rule, *times):
    for at in times:
        state = hybrid.after_checkpoint(state, rule, Checkpoint(at, Cause.MISMATCH, 10.0))
    return state


def storm(state, rule, begin):
    """Return the state after exactly as many short intervals as make a storm."""
    return mismatches(state, rule, *(begin + (i + 1) * rule.short_s / 2 for i in range(rule.run)))


def test_a_run_of_short_intervals_makes_a_pair_go_periodic():
    state = hybrid.begin(RULE, 100.0)
    assert mismatches(state, RULE, 100.1, 100.2).mode == Mode.COLO
    stormed = mismatches(state, RULE, 100.1, 100.2, 100.3)
    assert (stormed.mode, stormed.since) == (Mode.CHECKPOINT, 100.3)


def test_an_interval_that_is_long_enough_ends_the_run():
    state = mismatches(hybrid.begin(RULE, 100.0), RULE, 100.1, 100.2, 100.7, 100.8, 100.9)
    assert state.mode == Mode.COLO


def test_a_periodic_checkpoint_ends_the_run_and_a_forced_one_does_not():
    begun = mismatches(hybrid.begin(RULE, 100.0), RULE, 100.1, 100.2)
    for cause, mode in ((Cause.PERIODIC, Mode.COLO), (Cause.FORCED, Mode.CHECKPOINT)):
        state = hybrid.after_checkpoint(begun, RULE, Checkpoint(100.3, cause, 10.0))
        assert mismatches(state, RULE, 100.4).mode == mode


def test_colo_is_tried_again_after_the_wait():
    state = storm(hybrid.begin(RULE, 100.0), RULE, 100.0)
    assert hybrid.at_time(state, RULE, state.since + 9.9).mode == Mode.CHECKPOINT
    tried = hybrid.at_time(state, RULE, state.since + 10.0)
    assert (tried.mode, tried.since) == (Mode.COLO, state.since + 10.0)


def test_the_wait_grows_while_it_storms_at_each_try_and_begins_anew_after_a_calm():
    state, waits = hybrid.begin(RULE, 0.0), []
    for _ in range(5):
        state = storm(state, RULE, state.since)
        waits.append(state.wait_s)
        state = hybrid.at_time(state, RULE, state.since + state.wait_s)
    assert waits == [10.0, 20.0, 40.0, 80.0, 80.0]
    assert storm(state, RULE, state.since + RULE.calm_s).wait_s == RULE.first_wait_s


def test_checkpoints_that_are_told_after_the_mode_has_changed_belong_to_the_stay_before():
    state = storm(hybrid.begin(RULE, 100.0), RULE, 100.0)
    back = hybrid.at_time(state, RULE, state.since + 10.0)
    assert mismatches(back, RULE, *[back.since - 0.1] * 9) == back


def test_a_clock_that_is_set_back_does_not_keep_a_pair_in_checkpoint_mode():
    state = storm(hybrid.begin(RULE, 10_000.0), RULE, 10_000.0)
    state = hybrid.at_time(state, RULE, 50.0)
    assert hybrid.at_time(state, RULE, 60.0).mode == Mode.COLO


@pytest.mark.parametrize(
    "wrong", [{"run": 0}, {"short_s": 0}, {"growth": 0.5}, {"first_wait_s": 0}, {"max_wait_s": 1.0}]
)
def test_a_rule_that_contradicts_itself_is_refused(wrong):
    with pytest.raises(ValueError, match="hybrid rule"):
        Rule(**wrong)


def seconds(least, most):
    """Return a strategy of multiples of 1/1024, whose sums are exact, so that bounds are met exactly."""
    return st.integers(int(least * 1024), int(most * 1024)).map(lambda number: number / 1024)


calms = seconds(1, 60)
rules = st.builds(
    Rule, st.integers(1, 5), st.floats(0.05, 2), seconds(0.5, 30), st.floats(1, 4), seconds(30, 100), calms
)
moments = st.lists(st.tuples(seconds(0.001, 40), st.none() | st.sampled_from(Cause)), max_size=80)


def history(rule, moments):
    """Return all states of a pair after each moment: a checkpoint of a cause, or None for time alone."""
    now, states = 1000.0, [hybrid.begin(rule, 1000.0)]
    for gap, cause in moments:
        now += gap
        state = states[-1]
        state = (
            hybrid.at_time(state, rule, now)
            if cause is None
            else hybrid.after_checkpoint(state, rule, Checkpoint(now, cause, 9.0))
        )
        states.append(state)
    return states, now


@given(rules, moments)
def test_a_pair_stays_periodic_for_its_wait_at_least(rule, moments):
    states, _ = history(rule, moments)
    for before, after in itertools.pairwise(states):
        if before.mode == Mode.CHECKPOINT and after.mode == Mode.COLO:
            assert after.since - before.since >= before.wait_s


@given(rules, moments)
def test_the_wait_is_bounded_and_is_only_shortened_by_a_calm(rule, moments):
    states, now = history(rule, moments)
    for before, after in itertools.pairwise(states):
        assert rule.first_wait_s <= after.wait_s <= rule.max_wait_s
        if after.wait_s < before.wait_s:
            assert after.wait_s == rule.first_wait_s
            assert before.mode == Mode.COLO and now - before.since >= rule.calm_s


@given(rules, moments)
def test_whatever_was_before_an_idle_pair_ends_in_colo_with_the_first_wait(rule, moments):
    states, now = history(rule, moments)
    state = hybrid.at_time(states[-1], rule, now + rule.max_wait_s)
    state = hybrid.at_time(state, rule, now + rule.max_wait_s + rule.calm_s)
    assert (state.mode, state.wait_s) == (Mode.COLO, rule.first_wait_s)


@given(rules, st.floats(0, 1000))
def test_a_storm_without_an_end_costs_one_run_in_each_wait(rule, begin):
    state = hybrid.begin(rule, begin)
    for _ in range(5):
        state = storm(state, rule, state.since)
        assert state.mode == Mode.CHECKPOINT
        state = hybrid.at_time(state, rule, state.since + state.wait_s)
