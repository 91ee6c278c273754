# SPDX-License-Identifier: Apache-2.0
"""ORBIT's status of each state, and a secondary's id."""

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


def test_a_secondarys_id_is_stable_and_its_own():
    server = "1f0f0c3e-0000-4000-8000-000000000001"
    assert model.secondary_id(server) == model.secondary_id(server) != server
