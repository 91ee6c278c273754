# SPDX-License-Identifier: Apache-2.0
"""A host whose agent refuses the engine's requests gets no replica, and says why, before it is needed."""

from unittest import mock

import pytest

from nova_colo.agent.replication import UnverifiedError
from nova_colo.db import hosts
from nova_colo.engine.metrics import MetricsWriter
from nova_colo.pair import reasons
from tests.simulation.cloud import HOSTS
from tests.simulation.world import World

REFUSALS = [
    reasons.REQUEST_NOT_SIGNED(host=HOSTS[0]),
    reasons.REQUEST_NOT_CURRENT(host=HOSTS[0], seconds=300),
]


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    made.second()
    yield made
    made.close()


def reported(world):
    """Return what is recorded of the first host once its history was requested."""
    engine = world.engines[0]
    metrics = MetricsWriter(engine.context)
    engine.spawn(lambda: (metrics.collect_history(), metrics.write()))
    engine.run_all(60)
    with world.database.reader() as session:
        row = next(row for row in hosts.all_hosts(session) if row.host == HOSTS[0])
        return row.capable, row.reasons, engine.context.tracker.usable(HOSTS[0])


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.code)
def test_it_is_not_capable_until_the_agent_carries_out_requests_again(world, refusal):
    assert reported(world) == (True, [], True)
    manager = world.hosts[HOSTS[0]].manager
    with mock.patch.object(manager, "checkpoint_buckets", side_effect=UnverifiedError(refusal)):
        assert reported(world) == (False, [refusal], False)
    assert reported(world) == (True, [], True)
