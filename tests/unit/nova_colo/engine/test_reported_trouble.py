# SPDX-License-Identifier: Apache-2.0
"""Agents' reports reach the pair's row and are acted on, without a write for each small change."""

import dataclasses

import pytest

from nova_colo.db import pairs
from nova_colo.pair import reasons
from nova_colo.pair.model import Health, State
from tests.fixtures import statements
from tests.simulation.world import World


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    for _ in range(5):
        some_seconds_pass(made, 1)
    assert made.row().state == State.PROTECTED
    yield made
    made.close()


def some_seconds_pass(world, number):
    for _ in range(number):
        world.second()
        for engine in world.engines:
            engine.refresh()
            engine.run_all(60)
        world.nova.work(True)


def report(monkeypatch, host, troubles, **values):
    """Make a host's agent report reasons about its replica.

    :param troubles: called at each heartbeat, returns the reasons
    """
    report_of_backend = host.backend.report

    def report_with_reasons(server_id, peer):
        return dataclasses.replace(report_of_backend(server_id, peer), reasons=troubles(), **values)

    monkeypatch.setattr(host.backend, "report", report_with_reasons)


def health(world):
    row = world.row()
    return row.health, row.health_reasons


def test_a_pair_is_as_well_as_its_replicas_report(world, monkeypatch):
    row, troubles = world.row(), [reasons.CHECKPOINT_LATE(seconds=4)]
    assert health(world) == (Health.OK, [])
    report(monkeypatch, world.hosts[row.secondary_host], lambda: troubles)
    some_seconds_pass(world, 1)
    assert health(world) == (Health.WARNING, [reasons.CHECKPOINT_LATE(seconds=4)])
    troubles.clear()
    some_seconds_pass(world, 1)
    assert health(world) == (Health.OK, [])


def test_figures_that_change_a_little_at_each_heartbeat_are_not_written_each_time(
    world, monkeypatch, tmp_path
):
    measured = iter(range(300, 400))
    report(
        monkeypatch, world.hosts[world.row().primary_host], lambda: [reasons.PAUSES_LONG(ms=next(measured))]
    )
    with statements.collected(tmp_path / "ft.db") as sent:
        some_seconds_pass(world, 20)
    assert (
        len(
            [
                statement
                for statement in sent
                if "health_reasons" in statement and statement.startswith("UPDATE")
            ]
        )
        == 1
    )
    level, (reason,) = health(world)
    assert level == Health.WARNING and 300 <= reason.params["ms"] < 310


def test_a_hybrid_pair_goes_to_the_mode_that_its_primary_has_found(world, monkeypatch):
    row, calls, wished = world.row(), [], ["checkpoint"]
    with world.database.writer() as session:
        pairs.update(session, row.server_id, mode_policy="hybrid")
    for name, host in world.hosts.items():
        monkeypatch.setattr(
            host.backend, "set_mode", lambda *arguments, name=name: calls.append((name, *arguments))
        )
    backend_report = world.hosts[row.primary_host].backend.report
    monkeypatch.setattr(
        world.hosts[row.primary_host].backend,
        "report",
        lambda server_id, peer: dataclasses.replace(backend_report(server_id, peer), mode=wished[0]),
    )
    for mode in ("checkpoint", "colo"):
        wished[:], calls[:] = [mode], []
        some_seconds_pass(world, 5)
        assert (world.row().mode_policy, world.row().mode, world.row().state) == (
            "hybrid",
            mode,
            State.PROTECTED,
        )
        # the secondary first: its replies must be discarded before the primary stops to compare them
        wanted = (row.server_id, "hybrid", row.checkpoint_interval_ms, mode)
        assert calls == [(row.secondary_host, *wanted), (row.primary_host, *wanted)]


def test_what_the_agents_had_reported_of_a_loss_is_among_its_events(world, monkeypatch):
    row = world.row()
    stuck = reasons.LINK_STUCK(seconds=12)
    report(monkeypatch, world.hosts[row.primary_host], lambda: [stuck], link_up=False)
    world.second()
    world.engines[0].run_all(60)
    monkeypatch.undo()
    some_seconds_pass(world, 3)
    lost, noticed = [event.reason for event in reversed(world.events())][1:3][::-1]
    assert str(noticed) == f"A replica counts as lost. Reported by {row.primary_host}: {stuck}"
    assert noticed.text(hosts=False) == f"A replica counts as lost. Reported by its host: {stuck}"
    assert lost.code == "secondary_given_up"
