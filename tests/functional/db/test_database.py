# SPDX-License-Identifier: Apache-2.0
"""The FT database: migrations, grants, claims and the lease, on a real database."""

import datetime
import json
import socket
import sqlite3
import types
from unittest import mock

import pytest
import sqlalchemy as sa
from oslo_config import cfg
from oslo_db import exception as db_exception
from oslo_utils import timeutils

from nova_colo import conf as colo_conf
from nova_colo.db import events, history, hosts, lease, migration, operations, pairs, session
from nova_colo.db.models import Lease
from nova_colo.pair import reasons
from tests.fixtures.made_database import database_at, differences_from_models

SERVER = "1f0f0c3e-0000-4000-8000-000000000001"


@pytest.fixture
def database(tmp_path):
    connection = f"sqlite:///{tmp_path}/ft.db"
    migration.sync(connection)
    return database_at(connection)


@pytest.fixture
def pair(database):
    with database.writer() as session:
        pairs.add(
            session,
            server_id=SERVER,
            secondary_id="2f0f0c3e-0000-5000-8000-000000000001",
            name="web",
            project_id="p",
            user_id="u",
            flavor="ft",
            vcpus=1,
            memory_mb=64,
            disk_gb=1,
            server_status="ACTIVE",
            nova_host="a",
            state="protected",
            health="ok",
            primary_host="a",
            primary_since=timeutils.utcnow(),
            secondary_host="b",
        )


def start(database, row=None):
    with database.writer() as session:
        current = row or pairs.get(session, SERVER)
        return operations.start(session, current, "failover", {"epoch": 0}, state="failing_over")


def test_the_migrations_make_what_the_models_say(database):
    assert differences_from_models(database) == []


def test_the_sentences_of_before_become_reasons(tmp_path):
    connection = f"sqlite:///{tmp_path}/old.db"
    migration.sync(connection, "0002")
    old = sqlite3.connect(tmp_path / "old.db")
    at = "2026-01-31 12:00:00"
    old.execute(
        "INSERT INTO pairs (server_id, twin_id, name, project_id, user_id, flavor, vcpus, memory_mb, "
        "disk_gb, server_status, nova_host, state, state_reason, health, health_reasons, mode, mode_policy, "
        "epoch, primary_host, primary_since, failovers, failover_reason, first_error, attempts, created_at) "
        "VALUES "
        "(?, 't', 'web', 'p', 'u', 'ft', 1, 64, 1, 'ACTIVE', 'a', 'degraded', "
        "'Secondary lost: the secondary QEMU on [[b]] ended. "
        "The server runs without a secondary until it is protected again.', "
        "'critical', ?, 'colo', 'colo', 0, 'a', ?, 1, 'host [[c]] is lost', '', 0, ?)",
        (SERVER, json.dumps(["The agent on [[a]] does not answer.", "It rains on [[b]]."]), at, at),
    )
    old.execute("INSERT INTO hosts (host, capable, reasons) VALUES ('a', 0, ?)", (json.dumps(["No QEMU."]),))
    messages = [
        "Failover: requested.",
        "The server could not be protected: [[b]]: qemu-img: disk full",
        "\u00dcbrig",
    ] * 400
    messages.append("Protected: the secondary runs on [[b]]. The guest stood still for 12 ms.")
    rows = [(SERVER, at, "failover", "info", message) for message in messages]
    old.executemany("INSERT INTO events (server_id, at, kind, level, message) VALUES (?, ?, ?, ?, ?)", rows)
    old.execute(
        "INSERT INTO operations (id, server_id, kind, status, step, params, error, created_at) VALUES "
        "('o', ?, 'protect', 'failed', 1, '{}', 'The agent on [[b]] did not answer.', ?)",
        (SERVER, at),
    )
    old.commit()
    migration.sync(connection)
    old.execute("UPDATE alembic_version SET version_num = '0002'")  # as if it was interrupted at its end
    old.commit()
    migration.sync(connection)
    database = database_at(connection)
    with database.reader() as session:
        row = pairs.get(session, SERVER)
        ended = reasons.SECONDARY_ENDED(host="b")
        assert row.state_reason == reasons.SECONDARY_LOST(reason=ended)
        assert row.health_reasons == [reasons.AGENT_SILENT(host="a"), reasons.OTHER(text="It rains on b.")]
        assert (row.failover_reason, row.first_error) == (reasons.HOST_LOST(host="c"), None)
        assert [host.reasons for host in hosts.all_hosts(session)] == [[reasons.OTHER(text="No QEMU.")]]
        assert operations.get(session, "o").error == reasons.AGENT_TIMEOUT(host="b")
        newest = [event.reason for event in events.newest(session, SERVER, 2000)]
    full = reasons.AGENT_REFUSED(host="b", error=reasons.OTHER(text="qemu-img: disk full"))
    failover = reasons.FAILOVER_REQUESTED(reason=reasons.REQUESTED())
    assert newest[0] == reasons.PROTECTED(host="b", more=[reasons.PAUSED_FOR(ms=12)])
    assert newest[1:] == [reasons.OTHER(text="\u00dcbrig"), reasons.NOT_PROTECTED(error=full), failover] * 400


def test_an_epoch_is_granted_once(database, pair):
    def grant(to, operation_id):
        with database.writer() as session:
            return pairs.grant(session, SERVER, 0, operation_id, primary_host=to)

    mine = start(database)
    assert [grant("a", "another"), grant("b", mine), grant("a", mine)] == [False, True, False]
    with database.reader() as session:
        row = pairs.get(session, SERVER)
        assert (row.epoch, row.primary_host) == (1, "b")


def test_one_operation_at_a_time_on_a_pair(database, pair):
    first, second = start(database), start(database)
    assert first and second is None
    with database.writer() as session:
        assert [operation.id for operation in operations.running(session)] == [first]
        operations.finish(session, first, reasons.BOTH_ENDED(), state="error")
    third = start(database)
    with database.writer() as session:
        operations.finish(session, first, None, state="protected")
        assert not operations.advance(session, first, 2, {})
    assert third and start(database) is None
    with database.reader() as session:
        assert pairs.get(session, SERVER).state == "failing_over"


@pytest.mark.parametrize(
    "change", [{"epoch": 1}, {"state": "degraded"}, {"secondary_host": "c"}, {"secondary_host": None}]
)
def test_what_was_decided_of_another_picture_is_not_started(database, pair, change):
    with database.reader() as session:
        before = pairs.get(session, SERVER)
    with database.writer() as session:
        pairs.update(session, SERVER, **change)
    assert start(database, before) is None and start(database) is not None


@pytest.mark.parametrize(
    "change", [{"epoch": 1}, {"nova_host": "b"}, {"state": "unprotected"}, {"wanted": "suspended"}]
)
def test_a_look_at_nova_changes_no_pair_that_has_moved_on(database, pair, change):
    with database.reader() as session:
        before = pairs.get(session, SERVER)
    with database.writer() as session:
        pairs.update(session, SERVER, **change)
        assert not pairs.update_if_unchanged(session, before, primary_host="a")


def test_an_engine_that_was_stalled_takes_no_operation_back(database, pair):
    operation_id = start(database)

    def advance(step):
        with database.writer() as session:
            return operations.advance(session, operation_id, step, {"by": step})

    assert [advance(1), advance(3), advance(2), advance(3), advance(4)] == [True, True, False, False, True]


def test_a_failed_writer_changes_nothing(database, pair):
    with pytest.raises(RuntimeError), database.writer() as session:
        pairs.update(session, SERVER, state="error")
        raise RuntimeError()
    with database.reader() as session:
        assert pairs.get(session, SERVER).state == "protected"


@pytest.fixture
def clock():
    return types.SimpleNamespace(now=1000.0)


@pytest.fixture
def candidate(database, clock):
    return lambda name: lease.Candidate(database, name, 10, lambda: clock.now)


def pass_time(clock, seconds, *functions):
    """Advance the clock. Call each of the given functions once a second, and return their last results."""
    answers = []
    for _ in range(seconds):
        clock.now += 1
        answers = [function() for function in functions]
    return answers


def test_one_engine_has_the_lease_until_it_stops_renewing_it(candidate, clock):
    one, two = candidate("one"), candidate("two")
    assert one.acquire(3) and not two.acquire(3)
    assert pass_time(clock, 20, lambda: one.acquire(3), lambda: two.acquire(3)) == [True, False]
    assert pass_time(clock, 9, lambda: two.acquire(3)) == [False]
    assert pass_time(clock, 2, lambda: two.acquire(3)) == [True]
    assert not one.acquire(3)
    two.release()
    assert one.acquire(3)


def test_the_clocks_of_engines_may_differ(candidate, clock):
    ahead = timeutils.utcnow() + datetime.timedelta(hours=1)
    with mock.patch.object(timeutils, "utcnow", lambda: ahead):
        assert candidate("one").acquire(3)
    two = candidate("two")
    assert not two.acquire(3)
    assert pass_time(clock, 11, lambda: two.acquire(3)) == [True]


def test_an_engine_that_did_not_look_itself_takes_no_lease_for_that(candidate, clock):
    one, two = candidate("one"), candidate("two")
    assert one.acquire(3) and not two.acquire(3)
    clock.now += 60  # the database was away
    assert not two.acquire(3) and one.acquire(3)


def test_an_engine_that_hears_more_hosts_gets_the_lease(candidate, clock):
    deaf, well = candidate("deaf"), candidate("well")
    assert deaf.acquire(0) and not well.acquire(3)
    assert pass_time(clock, 9, lambda: deaf.acquire(0), lambda: well.acquire(3)) == [True, False]
    # a host that dies is silent for one of them a little earlier
    assert pass_time(clock, 1, lambda: deaf.acquire(3), lambda: well.acquire(3)) == [True, False]
    assert pass_time(clock, 9, lambda: deaf.acquire(0), lambda: well.acquire(3)) == [True, False]
    assert pass_time(clock, 2, lambda: deaf.acquire(0), lambda: well.acquire(3)) == [False, True]
    assert pass_time(clock, 30, lambda: deaf.acquire(3), lambda: well.acquire(3)) == [False, True]


def test_the_lease_of_an_earlier_release_tells_no_hosts(database, candidate, clock):
    with database.writer() as session:
        session.add(Lease(id=1, holder="earlier", expires_at=timeutils.utcnow()))
    two = candidate("two")

    def renew():
        with database.writer() as session:
            session.get(Lease, 1).expires_at = timeutils.utcnow()

    assert pass_time(clock, 30, renew, lambda: two.acquire(3))[1] is False
    assert pass_time(clock, 11, lambda: two.acquire(3)) == [True]


def bucket(start, server_id=SERVER, **figures):
    figures = {"mismatch": 1, "periodic": 2, "forced": 0, "pause_sum_ms": 5.0, "pause_max_ms": 3.0} | figures
    return {"server_id": server_id, "start": start, "seconds": history.FINE} | figures


def test_history_that_arrives_too_late_is_merged_too(database):
    """The clock of an agent's host was behind, or the engine's ahead, by hours."""
    other = "3f0f0c3e-0000-4000-8000-000000000001"
    with database.writer() as session:
        history.store(session, [bucket(3000), bucket(3010), bucket(3300), bucket(3010, other)])
    with database.writer() as session:
        history.merge(session, 6000)
    with database.writer() as session:
        history.store(session, [bucket(3020, pause_max_ms=9.0), bucket(3030), bucket(3610), bucket(6000)])
    with database.writer() as session:
        history.merge(session, 6000)
    with database.reader() as session:
        rows = history.buckets(session, SERVER, 0, 9000)
        figures = [
            (row.start, row.seconds, row.mismatch, row.periodic, row.pause_sum_ms, row.pause_max_ms)
            for row in rows
        ]
        (untouched,) = history.buckets(session, other, 0, 9000)
    assert figures == [
        (3000, 300, 4, 8, 20.0, 9.0),
        (3300, 300, 1, 2, 5.0, 3.0),
        (3600, 300, 1, 2, 5.0, 3.0),
        (6000, 10, 1, 2, 5.0, 3.0),
    ]
    assert (untouched.start, untouched.seconds, untouched.mismatch) == (3000, 300, 1)


@pytest.mark.parametrize(
    ("url", "given", "expected"),
    [
        (
            "mysql+pymysql://u:p@db/ft",
            "",
            {"connect_timeout": "5", "read_timeout": "10", "write_timeout": "10"},
        ),
        (
            "mysql+pymysql://u:p@db/ft?charset=utf8&read_timeout=60",
            "write_timeout=20",
            {"charset": "utf8", "connect_timeout": "5", "read_timeout": "60", "write_timeout": "20"},
        ),
        ("sqlite://", "", {}),
        ("postgresql://u:p@db/ft", "connect_timeout=3", {"connect_timeout": "3"}),
    ],
)
def test_a_database_server_that_does_not_answer_is_not_waited_for_for_ever(url, given, expected):
    conf = colo_conf.load([], [], conf=cfg.ConfigOpts())
    conf.set_override("connection", url, group="database")
    conf.set_override("connection_parameters", given, group="database")
    assert (
        dict(sa.make_url(url).update_query_string(session._parameters(conf.database), append=True).query)
        == expected
    )


def test_a_connection_that_hangs_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        database = database_at(
            f"mysql+pymysql://u:p@127.0.0.1:{port}/ft",
            connection_parameters="read_timeout=1",
            max_retries=0,
            retry_interval=1,
        )
        with pytest.raises(db_exception.DBConnectionError), database.reader() as session:
            pairs.all_pairs(session)
