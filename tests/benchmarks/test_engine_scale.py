# SPDX-License-Identifier: Apache-2.0
"""One engine with many pairs: its CPU time and the lag of the figures, and how both grow."""

import contextlib
import os
import pathlib
import statistics
import subprocess
import sys
import time

import psutil
import pytest
import sqlalchemy as sa

from lab.cloud.schema import connect_as_root
from nova_colo.db import migration, pairs
from nova_colo.db.models import Pair
from tests.benchmarks.made_up import ft_database, pair_columns
from tests.benchmarks.made_up_agents import layout
from tests.fixtures.cloud import Cloud, wait_for

SIZES = (500, 1000, 2000)
HOSTS = 20
WINDOW_S = 40
SCRATCH = "nova_colo_bench"
BIN = pathlib.Path(sys.executable).parent
REPO = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def config(lab, tmp_path):
    """Return a configuration for the lab's services with a separate database.

    The lab's engine and hosts are stopped meanwhile, since they use the same exchange.
    """
    names = ["compute-a", "compute-b", "compute-c"]
    lab.service("engine").stop()
    for name in names:
        lab.host(name).stop()
    text = (lab.layout.etc / "nova-colo" / "nova-colo.conf").read_text()
    text = text.replace("/nova_colo?", f"/{SCRATCH}?").replace(
        "nova_poll_interval = 2", "nova_poll_interval = 3600"
    )
    path = tmp_path / "nova-colo.conf"
    path.touch(mode=0o600)
    path.write_text(text.replace("repair_interval = 10", "repair_interval = 3600"))
    with connect_as_root(lab.spec()) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {SCRATCH}")
        cursor.execute(f"CREATE DATABASE {SCRATCH}")
        cursor.execute(f"GRANT ALL ON {SCRATCH}.* TO nova_colo@localhost")
    migration.sync(
        next(line.split(" = ", 1)[1] for line in text.splitlines() if line.startswith("connection = mysql"))
    )
    try:
        yield path
    finally:
        with connect_as_root(lab.spec()) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {SCRATCH}")
        for name in names:
            lab.host(name).start()
        lab.service("engine").start()
        wait_for("Nova sees its hosts again", 120, lambda: set(names) <= Cloud(lab).hosts_up())


def test_one_engine_with_many_pairs(config, capsys):
    """Print the figures; no value is asserted."""
    measured = {size: _measure(config, size) for size in SIZES}
    first_cpu, first_lag = measured[SIZES[0]]
    with capsys.disabled():
        print(f"\none engine, {HOSTS} hosts, reports each second, {WINDOW_S} s:")
        for size, (cpu, lag) in measured.items():
            print(
                f"  {size} pairs: {1000 * cpu:.1f} % of a core per 1,000 pairs "
                f"({cpu / first_cpu:.2f} of that at {SIZES[0]})"
            )
            print(f"    report lag p99 {lag:.1f} s ({lag / first_lag:.2f} of that at {SIZES[0]})")


def _measure(config: pathlib.Path, size: int) -> tuple[float, float]:
    """Return per cent of a core per pair, and the 99th percentile of the figures' lag in seconds."""
    database = ft_database(config)
    placed = layout(size, HOSTS)
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    agents = [
        sys.executable,
        str(REPO / "tests" / "benchmarks" / "made_up_agents.py"),
        str(config),
        str(size),
        str(HOSTS),
    ]
    log = config.parent / f"engine-{size}.log"
    _clear(database)
    with _running([str(BIN / "nova-colo-engine"), "--config-file", str(config)], log) as engine:
        # a full sync removes pairs without a server; the next one is an hour away
        wait_for(
            "the engine has looked at Nova",
            60,
            lambda: "Full sync: " in log.read_text(),
        )
        _clear(database)
        with database.writer() as session:
            for server_id, (primary, secondary) in placed.items():
                pairs.add(session, **pair_columns(server_id, primary, secondary))
        with _running(agents, config.parent / f"agents-{size}.log", env=environment):
            wait_for("figures come", 60, lambda: len(_sent(database)) == size)
            before, began = _cpu(engine.pid), time.monotonic()
            lags = _lags(database, WINDOW_S)
            cpu = (_cpu(engine.pid) - before) / (time.monotonic() - began) / size * 100
        with database.reader() as session:
            assert {row.state for row in pairs.all_pairs(session)} == {"protected"}, log.read_text()[-2000:]
    return cpu, statistics.quantiles(lags, n=100)[98]


def _clear(database) -> None:
    with database.writer() as session:
        for row in pairs.all_pairs(session):
            pairs.remove(session, row.server_id)


def _lags(database, seconds: float) -> list[float]:
    """Return the age in seconds of each new figure when it is first read."""
    known, lags = _sent(database), []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now, sent = time.time(), _sent(database)
        lags += [now - at for server_id, at in sent.items() if at != known.get(server_id)]
        known = sent
    return lags


def _sent(database) -> dict[str, float]:
    """Return when the figures of each pair were sent, without those that the database has from the start."""
    with database.reader() as session:
        rows = session.execute(sa.select(Pair.server_id, Pair.checkpoints))
        return {server_id: sent["sent_at"] for server_id, sent in rows if "sent_at" in sent}


def _cpu(pid: int) -> float:
    """Return the CPU seconds of a process and its children."""
    process = psutil.Process(pid)
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(t.user + t.system for t in times)


@contextlib.contextmanager
def _running(command, log, **kwargs):
    with open(log, "w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, **kwargs)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)
