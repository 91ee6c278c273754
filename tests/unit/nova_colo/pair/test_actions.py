# SPDX-License-Identifier: Apache-2.0
"""Users' actions on a pair, and the reasons of their refusals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_colo.pair import actions
from nova_colo.pair.model import State, Wanted
from tests.fixtures.made_pairs import pair

PROTECTED = pair()
DEGRADED = pair(secondary_host=None, state=State.DEGRADED)
STARTING = pair(secondary_host=None, state=State.STARTING)
FAILING_OVER = pair(secondary_host=None, state=State.FAILING_OVER)
SUSPENDED = pair(secondary_host=None, state=State.SUSPENDED, wanted=Wanted.SUSPENDED, reserved_host="b")
UNPROTECTED = pair(secondary_host=None, state=State.UNPROTECTED, wanted=Wanted.UNPROTECTED)
BROKEN = pair(state=State.ERROR)

REFUSED = [
    ("failover", FAILING_OVER, "in progress"),
    ("failover", DEGRADED, "no healthy secondary"),
    ("failover", STARTING, "still being created"),
    ("failover", SUSPENDED, "Resume protection first"),
    ("failover", UNPROTECTED, "Protect it first"),
    ("failover", BROKEN, "force"),
    ("ft-test-failover", BROKEN, "not protected"),
    ("ft-test-failover", SUSPENDED, "Resume protection first"),
    ("ft-migrate-secondary", DEGRADED, "not protected"),
    ("ft-migrate-secondary", STARTING, "still being created"),
    ("ft-protect", PROTECTED, "already"),
    ("ft-protect", STARTING, "still being created"),
    ("ft-protect", SUSPENDED, "Resume protection instead"),
    ("ft-unprotect", UNPROTECTED, "already"),
    ("ft-suspend", SUSPENDED, "already"),
    ("ft-suspend", DEGRADED, "not protected"),
    ("ft-resume", PROTECTED, "not suspended"),
]


@pytest.mark.parametrize(("action", "given_pair", "word"), REFUSED)
def test_a_refusal_says_why(action, given_pair, word):
    assert word in str(actions.refusal(action, given_pair))


ALLOWED = [
    ("failover", PROTECTED),
    ("ft-test-failover", PROTECTED),
    ("ft-migrate-secondary", PROTECTED),
    ("ft-protect", DEGRADED),
    ("ft-protect", UNPROTECTED),
    ("ft-unprotect", PROTECTED),
    ("ft-unprotect", STARTING),
    ("ft-unprotect", SUSPENDED),
    ("ft-suspend", PROTECTED),
    ("ft-resume", SUSPENDED),
    ("ft-set-mode", PROTECTED),
    ("ft-set-mode", UNPROTECTED),
]


@pytest.mark.parametrize(("action", "given_pair"), ALLOWED)
def test_what_is_allowed_has_a_plan(action, given_pair):
    assert actions.refusal(action, given_pair) is None
    plan = actions.plan(action, given_pair, {"mode": "checkpoint"})
    assert plan.event
    assert plan.kind or plan.values


def test_force_is_for_a_pair_that_is_not_healthy():
    assert actions.refusal("failover", BROKEN, force=True) is None
    assert actions.refusal("failover", DEGRADED, force=True)


@given(
    action=st.sampled_from(actions.ACTIONS),
    state=st.sampled_from(State),
    wanted=st.sampled_from(Wanted),
    secondary=st.sampled_from([None, "b"]),
    reserved=st.sampled_from([None, "b"]),
)
def test_a_workflow_that_needs_a_secondary_is_planned_only_with_one(
    action, state, wanted, secondary, reserved
):
    given_pair = pair(state=state, wanted=wanted, secondary_host=secondary, reserved_host=reserved)
    if actions.refusal(action, given_pair):
        return
    plan = actions.plan(action, given_pair, {"mode": "colo"})
    if plan.kind in ("failover", "move_secondary", "set_mode", "suspend"):
        assert secondary == "b"
    if plan.kind == "failover":
        assert (plan.params.target, plan.params.source, plan.params.epoch) == ("b", "a", 3)


@pytest.mark.parametrize(("name", "word"), [("a", "primary"), ("b", "already"), ("c", "")])
def test_a_secondary_moves_to_a_third_host_only(name, word):
    refusal = actions.refusal_of_host(pair(), name)
    assert (refusal is None) == (word == "") and word in str(refusal or "")
