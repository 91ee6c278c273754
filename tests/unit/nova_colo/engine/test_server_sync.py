# SPDX-License-Identifier: Apache-2.0
"""Pairs are synchronised with Nova's servers, whatever one of them is like."""

import dataclasses

import pytest

from nova_colo.pair.host_selection import Size
from tests.simulation.cloud import SERVER
from tests.simulation.world import World

BAD = "2f0f0c3e-0000-4000-8000-000000000002"


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def refresh(world):
    world.second()
    engine = world.engines[0]
    engine.refresh()
    engine.run_all(60)


def test_a_server_that_cannot_be_stored_keeps_no_other_from_being_updated(world, monkeypatch):
    listed, asked = world.nova.servers, []

    def servers(since):
        asked.append(since)
        (good,) = listed(since)
        bad = dataclasses.replace(good, id=BAD, size=Size(None, None, None))
        return [bad, dataclasses.replace(good, name="renamed")]

    monkeypatch.setattr(world.nova, "servers", servers)
    for _ in range(4):
        refresh(world)
    assert world.row().name == "renamed" and world.row().server_id == SERVER
    first, *rest = asked
    assert first is None and rest, "not polled again"
    assert len(set(rest)) == 1, "the changes since the first poll are not read again"
