# SPDX-License-Identifier: Apache-2.0
"""Pairs are synchronised with Nova's servers, whatever one of them is like."""

import dataclasses

import pytest

from nova_colo.db import pairs
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
    server, listed = world.nova.server, []
    sizes = iter([Size(None, None, None)] * 2 + [Size(1, 64, 1)] * 9)

    def changed(server_id):
        return dataclasses.replace(server(server_id), id=server_id, name="changed")

    def bad():
        return dataclasses.replace(changed(BAD), size=next(sizes))

    def servers(since):
        listed.append(since)
        return [bad(), changed(SERVER)] if since is None else []

    monkeypatch.setattr(world.nova, "servers", servers)
    monkeypatch.setattr(
        world.nova, "server", lambda server_id: bad() if server_id == BAD else changed(server_id)
    )
    refresh(world)
    refresh(world)
    assert world.row().name == "changed"
    for _ in range(3):
        refresh(world)
    with world.database.reader() as session:
        assert pairs.get(session, BAD) is not None, "it is read again until it is stored"
    assert listed[0] is None and len(set(listed)) == len(listed), "each change is listed once"
