# SPDX-License-Identifier: Apache-2.0
"""Consequences of a change of a pair's state."""

import dataclasses

import pytest

from nova_colo.pair import reasons
from nova_colo.pair.arbitration import GONE, Observation
from nova_colo.pair.model import Health, Pair, State, Wanted
from nova_colo.pair.transition import determines_others, transition

PAIR = Pair(
    server_id="s",
    state=State.PROTECTED,
    epoch=1,
    primary_host="a",
    secondary_host="b",
    nova_host="a",
    server_status="ACTIVE",
    wanted=Wanted.PROTECTED,
    auto_reprotect=True,
    reserved_host=None,
    return_to=None,
)
DEGRADED = {"state": State.DEGRADED, "state_reason": reasons.WAITING()}
ALIVE = Observation(alive=True, replica=None)


def test_a_state_brings_its_health():
    assert transition(PAIR, DEGRADED) == DEGRADED | {
        "health": Health.CRITICAL,
        "health_reasons": [reasons.WAITING()],
    }


def test_another_reason_for_the_same_state_is_one_for_its_health():
    pair = dataclasses.replace(PAIR, state=State.FAILING_OVER)
    values = transition(pair, {"state_reason": reasons.REQUESTED()})
    assert (values["health"], values["health_reasons"]) == (Health.WARNING, [reasons.REQUESTED()])


def test_a_new_state_does_not_keep_the_reason_of_the_last_one():
    values = transition(PAIR, {"state": State.FAILING_OVER})
    assert values["state_reason"] is None
    assert values["health_reasons"] == [reasons.PAIR_IS(state=State.FAILING_OVER)]


def test_without_a_secondary_no_figures_of_one_are_left():
    values = transition(PAIR, {"secondary_host": None})
    assert set(values.values()) == {None} and {"protected_since", "checkpoint_rate"} < set(values)


def test_the_health_of_a_protected_pair_depends_on_its_replicas_reports():
    values = {"state": State.PROTECTED, "state_reason": None}
    assert transition(PAIR, values) == values
    assert transition(PAIR, values, (ALIVE, ALIVE))["health"] == Health.OK
    silent = transition(PAIR, values, (ALIVE, GONE))
    assert (silent["health"], silent["health_reasons"]) == (Health.WARNING, [reasons.AGENT_SILENT(host="b")])


@pytest.mark.parametrize("values", [{"progress": "x"}, {"secondary_host": "c", "secondary_since": 1}])
def test_nothing_else_is_added(values):
    assert transition(PAIR, values) == values


@pytest.mark.parametrize(
    ("values", "expected"), [(DEGRADED, True), ({"secondary_host": None}, True), ({"progress": None}, False)]
)
def test_columns_that_determine_others_are_known(values, expected):
    assert determines_others(values) is expected
