# SPDX-License-Identifier: Apache-2.0
"""Test that steps run in the order of their dependencies, and concurrently where possible."""

import re
import threading

import pytest

from lab.core.errors import LabError
from lab.core.patience import patient
from lab.core.plan import Clock, Plan


@pytest.fixture
def shown():
    return []


@pytest.fixture
def plan(shown):
    return Plan(Clock(shown.append))


def test_a_step_runs_after_all_it_needs(plan):
    ran = []
    plan.add("a", lambda: ran.append("a"))
    plan.add("b", lambda: ran.append("b"), ["a"])
    plan.add("c", lambda: ran.append("c"), ["a", "b"])
    plan.run()
    assert ran == ["a", "b", "c"]


def test_independent_steps_run_at_the_same_time(plan):
    meeting = threading.Barrier(2, timeout=patient(10))
    plan.add("a", lambda: meeting.wait() and None)
    plan.add("b", lambda: meeting.wait() and None)
    plan.run()


def test_each_step_is_shown_with_the_elapsed_time(plan, shown):
    plan.add("keystone answers", lambda: None)
    plan.run()
    (line,) = shown
    assert re.fullmatch(r" +\d+\.\ds  keystone answers", line)


def test_after_a_failure_no_further_step_begins(plan):
    ran = []

    def fail():
        raise LabError("no")

    plan.add("a", fail)
    plan.add("b", lambda: ran.append("b"), ["a"])
    with pytest.raises(LabError, match="no"):
        plan.run()
    assert ran == []


def test_an_unforeseen_failure_says_which_step_it_was(plan):
    plan.add("divide", lambda: 1 // 0)
    with pytest.raises(LabError, match="the step 'divide' failed: ZeroDivisionError"):
        plan.run()


def test_a_step_cannot_need_what_is_not_there(plan):
    with pytest.raises(ValueError, match="nothing"):
        plan.add("a", lambda: None, ["nothing"])
