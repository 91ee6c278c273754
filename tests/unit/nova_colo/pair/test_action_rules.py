# SPDX-License-Identifier: Apache-2.0
"""When Nova's own actions may reach an FT server, and that the operator's guide has the same rules."""

import pathlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_colo.pair import action_rules
from nova_colo.pair.action_rules import Effect, Rule, refusal
from nova_colo.pair.model import State, Wanted
from tests.fixtures.made_pairs import pair

GUIDE = pathlib.Path(__file__).resolve().parents[4] / "docs" / "actions.md"
RULES = [*action_rules.ACTIONS.items(), *action_rules.REQUESTS.items()]


PAIRS = st.builds(
    pair,
    state=st.sampled_from(State),
    secondary_host=st.sampled_from([None, "b"]),
    nova_host=st.sampled_from(["a", "b"]),
    wanted=st.sampled_from(Wanted),
)
RULE = st.sampled_from([rule for _, rule in RULES])


@given(RULE, PAIRS, st.booleans())
def test_nothing_reaches_a_server_whose_records_follow_but_what_changes_no_guest(rule, pair, busy):
    if pair.state == State.FAILING_OVER or pair.nova_host != pair.primary_host:
        assert ("Wait until" in str(refusal(rule, pair, busy=busy))) == (rule.effect != Effect.NONE)


@given(RULE, PAIRS, st.booleans())
def test_a_secondary_never_sees_what_it_cannot_follow(rule, pair, busy):
    if rule.effect in (Effect.BREAKS, Effect.ATTACHES) and (
        pair.secondary_host or pair.state == State.STARTING or busy
    ):
        assert refusal(rule, pair, busy=busy)


@given(RULE)
def test_whoever_gives_protection_up_may_do_everything(rule):
    alone = pair(secondary_host=None, state=State.UNPROTECTED, wanted=Wanted.UNPROTECTED)
    assert refusal(rule, alone, busy=False) is None


@pytest.mark.parametrize("wanted", [Wanted.PROTECTED, Wanted.SUSPENDED])
def test_what_can_never_have_a_secondary_is_not_attached_to_a_server_that_shall_have_one(wanted):
    alone = pair(secondary_host=None, state=State.DEGRADED, wanted=wanted)
    refused = refusal(action_rules.REQUESTS["attach volume"], alone, busy=False)
    assert "Unprotect the server first" in str(refused)
    assert refusal(action_rules.REQUESTS["detach volume"], alone, busy=False) is None


def test_a_stopped_server_may_be_resized():
    assert (
        refusal(
            action_rules.ACTIONS["resize"], pair(secondary_host=None, state=State.UNPROTECTED), busy=False
        )
        is None
    )


@pytest.mark.parametrize(("name", "rule"), RULES, ids=[name for name, _ in RULES])
def test_a_refusal_has_a_reason_and_a_remedy(name, rule: Rule):
    refused = rule.effect in (Effect.BREAKS, Effect.ATTACHES)
    assert refused == (rule.refused is not None)
    assert rule.refused is None or re.fullmatch(r"[A-Z].+\. [A-Z].+\.", str(rule.refused))


@pytest.mark.parametrize("name", action_rules.ACTIONS)
def test_the_guide_has_every_action(name):
    rule = action_rules.ACTIONS[name]
    (row,) = [line for line in GUIDE.read_text().splitlines() if line.startswith(f"| `{name}` |")]
    assert row.endswith(f"| {rule.refused or ''} |")
    words = {
        Effect.NONE: "passes always",
        Effect.KEEPS: "the pair stays",
        Effect.RENEWS: "created again",
        Effect.BREAKS: "409 while",
        Effect.ATTACHES: "409 unless",
    }
    assert words[rule.effect] in row


def test_the_guide_has_every_refusal_of_other_requests():
    text = GUIDE.read_text()
    assert all(str(rule.refused or "") in text for rule in action_rules.REQUESTS.values())
