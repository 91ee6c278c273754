# SPDX-License-Identifier: Apache-2.0
"""A reservation for a build changes the pair of no server that is not being built."""

import dataclasses
import types

import pytest

from nova_colo.db import migration, pairs
from nova_colo.engine.clients.nova import Server
from nova_colo.engine.context import Context
from nova_colo.engine.strict_build import BuildError, BuildReservation
from nova_colo.pair.host_selection import Size
from nova_colo.pair.model import Policy
from tests.fixtures.made_database import database_at

BUILT = Server(
    id="1f0f0c3e-0000-4000-8000-000000000001",
    name="web",
    project_id="p",
    user_id="u",
    flavor="ft.nano",
    size=Size(1, 64, 1),
    fault_tolerant=True,
    status="BUILD",
    host="a",
    task_state="spawning",
    policy=Policy(),
    extra_specs={"ft:enabled": "1"},
)


@pytest.fixture
def context(tmp_path):
    context = object.__new__(Context)
    context.clock = lambda: 0.0
    migration.sync(f"sqlite:///{tmp_path}/ft.db")
    context.database = database_at(f"sqlite:///{tmp_path}/ft.db")
    context.shown = BUILT
    context.nova = types.SimpleNamespace(server=lambda server_id: context.shown)
    context.capacity = types.SimpleNamespace(reserve=lambda row: "b")
    return context


@pytest.fixture
def reservation(context):
    return BuildReservation(context, listens_from=0.0)


def row(context):
    with context.database.reader() as session:
        return dict(pairs.get(session, BUILT.id))


def test_nova_may_build_it_on_another_host(context, reservation):
    assert reservation.reserve(BUILT.id, "a") == "b"
    context.shown = dataclasses.replace(BUILT, host="c")
    assert reservation.reserve(BUILT.id, "c") == "b"
    assert (row(context)["primary_host"], row(context)["reserved_host"]) == ("c", "b")


@pytest.mark.parametrize(
    "shown",
    [{"status": "ACTIVE"}, {"host": "a"}, {"fault_tolerant": False}, {"status": "ERROR", "host": "c"}],
)
def test_what_nova_does_not_build_there_is_refused(context, reservation, shown):
    reservation.reserve(BUILT.id, "a")
    before = row(context)
    context.shown = dataclasses.replace(BUILT, **{"host": "c"} | shown)
    with pytest.raises(BuildError, match="is not an FT server that is being built on its host"):
        reservation.reserve(BUILT.id, "c")
    assert row(context) == before


@pytest.mark.parametrize(
    "known", [{"server_status": "ACTIVE"}, {"epoch": 1}, {"secondary_host": "b"}, {"operation_id": "o"}]
)
def test_a_pair_that_lives_is_not_moved_even_if_nova_says_so(context, reservation, known):
    reservation.reserve(BUILT.id, "a")
    context.update(BUILT.id, **known)
    before = row(context)
    context.shown = dataclasses.replace(BUILT, host="c")
    with pytest.raises(BuildError):
        reservation.reserve(BUILT.id, "c")
    assert row(context) == before
