# SPDX-License-Identifier: Apache-2.0
"""No sequence of failures and requests makes both replicas answer, or leaves a pair in disorder."""

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.simulation.machine import PairMachine

PairMachine.TestCase.settings = settings(
    max_examples=settings.default.max_examples // 8,  # each takes half a second
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    # no Phase.shrink, since to minimize a failing example takes minutes: add it when one fails
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
TestPairMachine = pytest.mark.timeout(300)(PairMachine.TestCase)
