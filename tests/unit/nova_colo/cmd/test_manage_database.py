# SPDX-License-Identifier: Apache-2.0
"""nova-colo-manage db sync creates the schema, or reports in one line what is wrong."""

import sqlite3
import subprocess

import pytest

from tests.fixtures import programs


@pytest.fixture
def sync(tmp_path):
    def run(connection: str) -> subprocess.CompletedProcess:
        conf = tmp_path / "nova-colo.conf"
        # as on a cloud, where log messages are not on the terminal
        conf.write_text(f"[DEFAULT]\nlog_file = {tmp_path}/log\n[database]\nconnection = {connection}\n")
        return programs.run("nova-colo-manage", "--config-file", str(conf), "db", "sync")

    return run


def test_the_schema_is_made_and_made_again(sync, tmp_path):
    for _ in range(2):
        done = sync(f"sqlite:///{tmp_path}/colo.db")
        assert (done.returncode, done.stdout) == (0, "The schema of the FT database is up to date.\n")
    tables = {
        name for (name,) in sqlite3.connect(tmp_path / "colo.db").execute("SELECT name FROM sqlite_master")
    }
    assert {"pairs", "operations", "hosts", "events"} <= tables


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        ("", "Name the FT database"),
        ("sqlite:////no/such/folder/colo.db", "unable to open database file"),
        ("mysql+pymysql://colo:secret@127.0.0.1:1/colo", "Can't connect to MySQL server"),
        ("nonsense", "Could not parse SQLAlchemy URL"),
        ("mysql+nodriver://localhost/colo", "nodriver"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_without_the_password(sync, connection, words):
    done = sync(connection)
    assert done.returncode == 1
    assert (
        words in done.stderr and "[database] connection" in done.stderr and len(done.stderr.splitlines()) == 1
    )
    assert "secret" not in done.stderr
