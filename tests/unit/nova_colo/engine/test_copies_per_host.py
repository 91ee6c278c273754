# SPDX-License-Identifier: Apache-2.0
"""Limits: how many servers of a host get a secondary at the same time, and how often each of them does."""

import pytest
from oslo_utils import uuidutils

from nova_colo.db import operations, pairs
from nova_colo.db.models import Operation
from nova_colo.engine.runner import Runner
from nova_colo.pair import reasons
from nova_colo.pair.model import State, Wanted
from tests.simulation.cloud import HOSTS, SERVER
from tests.simulation.world import World

LIMIT = 2


@pytest.fixture
def world(tmp_path, monkeypatch):
    made = World(tmp_path)
    made.conf.set_override("max_copies_per_host", LIMIT, "engine")
    submit = Runner.submit

    def submit_those_of_this_server(runner, operation):
        if operation.server_id == SERVER:
            submit(runner, operation)

    monkeypatch.setattr(Runner, "submit", submit_those_of_this_server)
    yield made
    made.close()


def copy_another(world, kind, **params):
    """Record that another server is being copied, and return the id of the operation."""
    operation_id = uuidutils.generate_uuid()
    with world.database.writer() as session:
        session.add(
            Operation(
                id=operation_id,
                server_id=uuidutils.generate_uuid(),
                kind=kind,
                status=operations.RUNNING,
                params=params,
            )
        )
    return operation_id


def end(world, operation_id):
    with world.database.writer() as session:
        assert operations.finish(session, operation_id, None)


def some_seconds_pass(world):
    for _ in range(10):
        world.second()
        for engine in world.engines:
            engine.refresh()
            engine.run_all(60)


def test_the_next_is_copied_when_another_is_done(world):
    host, other, _ = HOSTS
    copies = [
        copy_another(world, "protect", source=host),
        copy_another(world, "move_secondary", source=other, target=host),
    ]
    some_seconds_pass(world)
    row = world.row()
    assert (row.state, row.secondary_host) == (State.UNPROTECTED, None)
    assert row.state_reason == reasons.WAITING_FOR_COPIES(host=host, number=LIMIT)
    assert "others on its host" in row.state_reason.text(hosts=False)
    end(world, copies[0])
    some_seconds_pass(world)
    assert world.row().state == State.PROTECTED


def test_what_copies_nothing_and_copies_between_other_hosts_do_not_count(world):
    host, *others = HOSTS
    for _ in range(LIMIT):
        copy_another(world, "unprotect", source=host, target=others[0])
        copy_another(world, "protect", source=others[0], target=others[1])
    some_seconds_pass(world)
    assert world.row().state == State.PROTECTED


def test_a_server_that_was_copied_too_often_waits(world):
    world.conf.set_override("max_protects_per_hour", 3, "engine")
    for number in range(3):
        some_seconds_pass(world)
        assert world.row().state == State.PROTECTED, number
        for wanted in (Wanted.UNPROTECTED, Wanted.PROTECTED):
            with world.database.writer() as session:
                pairs.update(session, SERVER, wanted=wanted, retry_at=None, attempts=0)
            some_seconds_pass(world)
    row = world.row()
    assert (row.state, row.state_reason) == (State.UNPROTECTED, reasons.PROTECTED_TOO_OFTEN(number=3))
    world.clock.advance(3600)
    some_seconds_pass(world)
    assert world.row().state == State.PROTECTED
