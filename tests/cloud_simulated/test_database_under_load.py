# SPDX-License-Identifier: Apache-2.0
"""The FT database on a real MariaDB: its schema, and many concurrent writers."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import pytest
from oslo_utils import timeutils, uuidutils

from lab.cloud.schema import connect_as_root
from nova_colo.db import Database, events, history, migration, operations, pairs, secondaries
from nova_colo.db.models import Operation
from nova_colo.pair import reasons
from tests.fixtures import programs
from tests.fixtures.cloud import Cloud
from tests.fixtures.made_database import database_at, differences_from_models

NAME = "nova_colo_tried"
WRITERS, ROUNDS = 12, 12


@pytest.fixture
def url(cloud: Cloud) -> Iterator[str]:
    """Return the URL of a separate, empty database in the lab's MariaDB."""
    spec = cloud.lab.spec()
    password, socket = spec.passwords["database:root"], spec.layout.database_socket
    with connect_as_root(spec) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {NAME}")
        cursor.execute(f"CREATE DATABASE {NAME} CHARACTER SET utf8mb3")
        yield f"mysql+pymysql://root:{password}@localhost/{NAME}?charset=utf8&unix_socket={socket}"
        cursor.execute(f"DROP DATABASE {NAME}")


@pytest.fixture
def database(url: str) -> Database:
    """Return a separate FT database."""
    migration.sync(url)
    return database_at(url)


def test_a_character_set_that_cannot_store_each_name_is_refused_and_nothing_is_changed(
    url: str, cloud: Cloud, tmp_path: Path
) -> None:
    conf = tmp_path / "nova-colo.conf"
    conf.write_text(f"[DEFAULT]\nlog_file = {tmp_path}/log\n[database]\nconnection = {url}\n")
    sync = ("nova-colo-manage", "--config-file", str(conf), "db", "sync")
    with connect_as_root(cloud.lab.spec()) as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {NAME} CHARACTER SET latin1")
        refused = programs.run(*sync)
        assert refused.returncode == 1
        assert f"ALTER DATABASE {NAME} CHARACTER SET utf8mb4" in refused.stderr
        assert cursor.execute(f"SHOW TABLES FROM {NAME}") == 0

        cursor.execute(f"ALTER DATABASE {NAME} CHARACTER SET utf8mb4")
        assert programs.run(*sync).returncode == 0
        _add_pair(database_at(url), "Сервер 服务器")

        cursor.execute(f"ALTER TABLE {NAME}.events CONVERT TO CHARACTER SET latin1")
        refused = programs.run(*sync)
        assert refused.returncode == 1
        assert "ALTER TABLE events CONVERT TO CHARACTER SET utf8mb4" in refused.stderr


def _add_pair(database: Database, server_id: str) -> None:
    values = {
        "vcpus": 1,
        "memory_mb": 64,
        "disk_gb": 1,
        "server_status": "ACTIVE",
        "nova_host": "a",
        "primary_host": "a",
    }
    values |= {
        "name": server_id,
        "project_id": "p",
        "user_id": "u",
        "flavor": "ft",
        "state": "protected",
        "health": "ok",
    }
    since = {
        "primary_since": timeutils.utcnow(),
        "secondary_host": "b",
        "secondary_since": timeutils.utcnow(),
    }
    with database.writer() as session:
        pairs.add(session, server_id=server_id, secondary_id=uuidutils.generate_uuid(), **values, **since)


def _workflows(database: Database, server_id: str) -> None:
    """Write what an API and an engine write for consecutive operations on a pair."""
    for _ in range(ROUNDS):
        with database.writer() as session:
            first = operations.start(
                session, pairs.get(session, server_id), "failover", {"epoch": 0}, state="failing_over"
            )
            assert first is not None
            events.add(session, server_id, "failover", reasons.FAILOVER_REQUESTED(reason=reasons.REQUESTED()))
        for step in (1, 2, 3):
            with database.writer() as session:
                assert operations.advance(session, first, step, {"step": step})
        with database.writer() as session:
            then = operations.hand_over(session, first, "follow", {}, state="failing_over")
            assert then is not None
        with database.writer() as session:
            assert operations.finish(session, then, None, state="protected")
            events.add(session, server_id, "follow", reasons.RECORDS_FOLLOWED(host="compute-b"))


def _figures(database: Database, server_ids: list[str], ended: threading.Event) -> None:
    """Write what an engine writes for all pairs, every second and every hour."""
    while not ended.is_set():
        now = timeutils.utcnow()
        with database.writer() as session:
            pairs.update_many(
                session, [{"server_id": server_id, "measured_at": now} for server_id in server_ids]
            )
        with database.writer() as session:
            secondaries.record(session, now)
        with database.writer() as session:
            history.purge(session, 0)
            operations.purge(session, now)
            events.purge(session, now)


def test_the_migrations_make_what_the_models_say(database):
    assert differences_from_models(database) == []


def test_those_who_write_of_different_pairs_do_not_wait_for_each_other_in_a_circle(database):
    server_ids = [uuidutils.generate_uuid() for _ in range(WRITERS)]
    for server_id in server_ids:
        _add_pair(database, server_id)
    ended = threading.Event()
    with futures.ThreadPoolExecutor(WRITERS + 1) as pool:
        figures = pool.submit(_figures, database, server_ids[::-1], ended)
        work = [pool.submit(_workflows, database, server_id) for server_id in server_ids]
        with contextlib.ExitStack() as at_the_end:
            at_the_end.callback(ended.set)
            for each in work:
                each.result()
        figures.result()
    with database.reader() as session:
        assert {row.state for row in pairs.all_pairs(session)} == {"protected"}
        assert session.query(Operation).filter_by(status=operations.RUNNING).count() == 0
