# SPDX-License-Identifier: Apache-2.0
"""ORBIT's status of each state, a secondary's id, and a flavor's policy."""

import pytest

from nova_colo.pair import model
from nova_colo.pair.model import FtStatus, State


@pytest.mark.parametrize(
    ("state", "secondary", "word"),
    [
        (State.PROTECTED, True, FtStatus.PRIMARY),
        (State.FAILING_OVER, True, FtStatus.PRIMARY),
        (State.FAILING_OVER, False, FtStatus.MISSING_SECONDARY),
        (State.DEGRADED, False, FtStatus.MISSING_SECONDARY),
        (State.ERROR, True, FtStatus.MISSING_SECONDARY),
    ],
)
def test_orbits_word_for_a_state(state, secondary, word):
    assert model.ft_status(state, secondary) == word


@pytest.mark.parametrize(
    ("specs", "policy"),
    [
        ({}, model.Policy()),
        (
            {"ft:mode": "checkpoint", "ft:checkpoint_interval_ms": "500", "ft:auto_reprotect": "no"},
            model.Policy(model.Mode.CHECKPOINT, 500, False),
        ),
        ({"ft:mode": "fast"}, model.Policy(ignored=("ft:mode=fast",))),
        *(
            (
                {"ft:checkpoint_interval_ms": value},
                model.Policy(ignored=(f"ft:checkpoint_interval_ms={value}",)),
            )
            for value in ("100ms", "-5", "0", "99999999999", "1.5", "")
        ),
        ({"ft:auto_reprotect": "perhaps"}, model.Policy(ignored=("ft:auto_reprotect=perhaps",))),
    ],
)
def test_invalid_extra_specs_are_named_and_ignored(specs, policy):
    assert model.policy_of({"extra_specs": specs}) == policy


def test_a_secondarys_id_is_stable_and_its_own():
    server = "1f0f0c3e-0000-4000-8000-000000000001"
    assert model.secondary_id(server) == model.secondary_id(server) != server
