# SPDX-License-Identifier: Apache-2.0
"""After a SIGKILL at any step of any workflow, the next engine brings every pair to a valid state.

One engine blocks at all of these points at the same time, each in a workflow of another server, and is killed
then.
"""

import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lab.cloud.schema import connect_as_root
from lab.core.patience import patient
from nova_colo.engine.runner import WORKFLOWS
from nova_colo.hoststate import json_file
from nova_colo.pair.model import secondary_id
from nova_colo.simulator import hypervisor
from tests.fixtures import many_servers
from tests.fixtures.cloud import Cloud, wait_for

PREFIX = "killed"
PROGRAM = pathlib.Path(__file__).parent / "engine_that_dies.py"
ENDED = ("protected", "suspended", "unprotected")

#: The points: kind, step, when. Derived from the workflows, so that new steps are included.
POINTS = [
    (kind, step.__name__, when)
    for kind, workflow in WORKFLOWS.items()
    for step in workflow(None).steps  # type: ignore[arg-type]
    for when in ("before", "after")
]
POINTS += [("follow", "move", "asked"), ("restart", "restart", "asked")]
#: Points where most is half done, at least one for each kind; the others are long tests (pyproject.toml).
USUAL = {
    ("protect", "start", "after"),
    ("move_secondary", "leave", "after"),
    ("unprotect", "remove", "after"),
    ("suspend", "remove", "before"),
    ("suspend", "remove", "after"),
    ("set_mode", "apply", "after"),
    ("failover", "grant", "after"),
    ("run_alone", "grant", "before"),
    ("run_alone", "grant", "after"),
    ("remove_secondary", "destroy", "after"),
    ("power_off", "stop", "before"),
    ("restart", "restart", "asked"),
    ("follow", "promote", "after"),
    ("follow", "move", "asked"),
}


def end_guests(cloud: Cloud, pair: dict[str, Any], *replicas: str) -> None:
    """Kill the QEMUs of a pair."""
    for replica in replicas:
        (cloud.lab.layout.simulated / pair[replica]["host"] / f"{pair['server_id']}.json").unlink()


def power_off_guests(cloud: Cloud, pair: dict[str, Any]) -> None:
    """Make the guests of a pair power themselves off."""
    for replica in ("primary", "secondary"):
        path = cloud.lab.layout.simulated / pair[replica]["host"] / f"{pair['server_id']}.json"
        json_file.write(path, json_file.read(path) | {"state": hypervisor.SHUT_OFF})


def ask(action: str, arguments: Any = None) -> Any:
    """Return a function that requests an action."""

    def trigger(cloud: Cloud, pair: dict[str, Any]) -> None:
        response = cloud.act(pair["server_id"], {action: arguments})
        assert response.status_code == 202, response.text

    return trigger


#: What starts a workflow of each kind, and the state in which it must end.
TRIGGERS = {
    "protect": (ask("ft-protect"), "protected"),
    "unprotect": (ask("ft-unprotect"), "unprotected"),
    "suspend": (ask("ft-suspend"), "suspended"),
    "move_secondary": (ask("ft-migrate-secondary", {"host": None}), "protected"),
    "set_mode": (ask("ft-set-mode", {"mode": "checkpoint"}), "protected"),
    "failover": (ask("failover"), "protected"),
    "follow": (ask("failover"), "protected"),
    "run_alone": (lambda cloud, pair: end_guests(cloud, pair, "secondary"), "protected"),
    "remove_secondary": (lambda cloud, pair: end_guests(cloud, pair, "secondary"), "protected"),
    "power_off": (power_off_guests, "unprotected"),
    "restart": (lambda cloud, pair: end_guests(cloud, pair, "primary", "secondary"), "protected"),
}


HEALTH = {"protected": "ok", "unprotected": "warning", "suspended": "warning"}


@pytest.fixture(scope="module")
def ends(
    request: pytest.FixtureRequest, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[str, str, str], Any]]:
    """Yield, for each point of a kill, the server's pair before, without an engine, and after."""
    assert set(TRIGGERS) == set(WORKFLOWS), "add to TRIGGERS what starts each kind of workflow"
    assert {kind for kind, _, _ in USUAL} == set(WORKFLOWS) and set(POINTS) >= USUAL, "keep USUAL up to date"
    tests = [item for item in request.session.items if item.path == pathlib.Path(__file__)]
    points = [test.callspec.params["point"] for test in tests if hasattr(test, "callspec")] or POINTS
    with many_servers.ft_servers(cloud, PREFIX, len(points)) as pairs_by_name:
        servers = dict(zip(points, pairs_by_name, strict=True))
        to_protect = {name for point, name in servers.items() if point[0] == "protect"}
        for name in to_protect:
            ask("ft-unprotect")(cloud, pairs_by_name[name])
        wait_for("those to be protected are not", 60, lambda: _unprotected(cloud) == to_protect)
        engine = cloud.lab.service("engine")
        engine.stop()
        try:
            before = cloud.pairs()
            _kill_at_all_points(
                cloud,
                {point: before[name] for point, name in servers.items()},
                tmp_path_factory.mktemp("points"),
            )
            then = cloud.pairs()
        finally:
            engine.start()
        wanted = {name: TRIGGERS[point[0]][1] for point, name in servers.items()}
        wait_for("nothing is left to do", 300, lambda: _all_rest(cloud, wanted))
        after = cloud.pairs()
        yield {point: (before[name], then[name], after[name]) for point, name in servers.items()}


def _unprotected(cloud: Cloud) -> set[str]:
    """Return the names of the unprotected servers without operation."""
    pairs = {name: pair for name, pair in cloud.pairs().items() if name.startswith(PREFIX)}
    return {name for name, pair in pairs.items() if pair["state"] == "unprotected" and not pair["progress"]}


def _kill_at_all_points(
    cloud: Cloud, pairs: dict[tuple[str, str, str], dict[str, Any]], folder: pathlib.Path
) -> None:
    """Run an engine until it has killed itself, with a workflow of each server blocked at its point."""
    reached = folder / "reached"
    reached.touch()
    (folder / "points").write_text(json.dumps({pair["server_id"]: point for point, pair in pairs.items()}))
    number = len(pairs)  # all are blocked at once
    limits = f"max_workers = {number}\nmax_copies_per_host = {number}\n"
    (folder / "more.conf").write_text(f"[engine]\n{limits}")
    files = [cloud.lab.layout.etc / "nova-colo" / "nova-colo.conf", folder / "more.conf"]
    command = [
        sys.executable,
        str(PROGRAM),
        str(folder / "points"),
        str(reached),
        *(f"--config-file={file}" for file in files),
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            for group in _groups(pairs):
                _begin(cloud, group)
                wait_for(
                    "all workflows are blocked", 150, functools.partial(_all_blocked, process, group, reached)
                )
            assert process.wait(patient(10)) == -signal.SIGKILL, _missing(pairs, reached, folder / "log")
        except (AssertionError, subprocess.TimeoutExpired) as error:
            raise AssertionError(_missing(pairs, reached, folder / "log")) from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _groups(
    pairs: dict[tuple[str, str, str], dict[str, Any]],
) -> list[dict[tuple[str, str, str], dict[str, Any]]]:
    """Group workflows by start: first those that need a host, last those that close one to others."""
    order = {
        point: 2 if point[2] == "asked" else 0 if point[0] in ("protect", "move_secondary") else 1
        for point in pairs
    }
    return [{point: pair for point, pair in pairs.items() if order[point] == number} for number in range(3)]


def _begin(cloud: Cloud, pairs: dict[tuple[str, str, str], dict[str, Any]]) -> None:
    for (kind, _, _), pair in pairs.items():
        TRIGGERS[kind][0](cloud, pair)


def _all_blocked(
    process: subprocess.Popen, pairs: dict[tuple[str, str, str], dict[str, Any]], reached: pathlib.Path
) -> bool:
    return process.poll() is not None or {pair["server_id"] for pair in pairs.values()} <= set(
        reached.read_text().split()
    )


def _missing(
    pairs: dict[tuple[str, str, str], dict[str, Any]], reached: pathlib.Path, log: pathlib.Path
) -> str:
    known = set(reached.read_text().split())
    points = [
        f"{point} of {pair['server_id']}" for point, pair in pairs.items() if pair["server_id"] not in known
    ]
    return f"the engine was not killed; not reached: {points}\n{log.read_text()[-2000:]}"


def _all_rest(cloud: Cloud, wanted: dict[str, str]) -> bool:
    """Return whether all pairs are in their expected state and best health, without operation."""
    pairs = cloud.pairs()
    rest = all(
        (pairs[name]["state"], pairs[name]["health"]) == (state, HEALTH[state])
        for name, state in wanted.items()
    )
    return rest and not _running_operations(cloud)


def _running_operations(cloud: Cloud) -> list[Any]:
    with connect_as_root(cloud.lab.spec()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT server_id, kind, step FROM nova_colo.operations WHERE status = 'running'")
        running = list(cursor.fetchall())
        cursor.execute("SELECT server_id FROM nova_colo.pairs WHERE operation_id IS NOT NULL")
        return running + list(cursor.fetchall())


@pytest.mark.parametrize(
    "point",
    [pytest.param(point, marks=() if point in USUAL else pytest.mark.long) for point in POINTS],
    ids="-".join,
)
def test_the_pair_ends_in_a_right_place(cloud, ends, point):
    before, _, now = ends[point]
    kind = point[0]
    assert (now["state"], now["health"]) == (TRIGGERS[kind][1], HEALTH[now["state"]])
    home, other = before["primary"]["host"], (before["secondary"] or {}).get("host")
    primary, secondary = now["primary"]["host"], (now["secondary"] or {}).get("host")
    assert primary == (other if kind in ("failover", "follow") else home)
    granting = ("failover", "follow", "run_alone", "remove_secondary")
    # of two guests that end at once, the secondary's may be known to have ended first
    either = kind in ("restart", "power_off")
    assert now["epoch"] - before["epoch"] in ((0, 1) if either else (int(kind in granting),))
    assert now["failovers"]["total"] - before["failovers"]["total"] == (
        1 if kind in ("failover", "follow") else 0
    )
    if kind == "move_secondary" and secondary == other:
        # it selected a host while the records of others were moving to the only third one
        assert "The secondary was not moved: Needs a secondary" in "\n".join(cloud.events(now["server_id"]))
    if kind == "set_mode":
        assert now["mode_policy"] == "checkpoint"
    server = cloud.server(now["name"])
    status, guest = ("SHUTOFF", "shut off") if kind == "power_off" else ("ACTIVE", "running")
    assert (server["status"], server["OS-EXT-SRV-ATTR:host"]) == (status, primary)
    assert many_servers.guests(cloud, now["server_id"]) == {primary: guest} | (
        {secondary: "paused"} if secondary else {}
    )


def test_no_pair_is_shown_to_be_what_it_is_not(ends):
    shown = {point: (then["state"], then["secondary"] is not None) for point, (_, then, _) in ends.items()}
    assert {state for point, state in shown.items() if point[0] == "run_alone"} == {
        ("protected", True),
        ("degraded", False),
    }
    assert {state for point, state in shown.items() if point[0] == "suspend"} == {
        ("protected", True),
        ("suspended", False),
    }
    assert [
        point for point, state in shown.items() if state in {("protected", False), ("degraded", True)}
    ] == []
    assert [point for point, (_, then, _) in ends.items() if "The agent on  " in str(then)] == []


def test_no_reservation_is_left_and_none_is_missing(cloud, ends):
    held = many_servers.allocations(cloud)
    for point, (before, _, now) in ends.items():
        keeps = point[0] in ("suspend", "power_off") and now["epoch"] == before["epoch"]
        kept = now["secondary"] or (before["secondary"] if keeps else None)
        assert held[now["server_id"]] == {now["primary"]["host"]}, point
        assert held.get(secondary_id(now["server_id"]), set()) == ({kept["host"]} if kept else set()), point


def test_every_host_may_be_used(cloud, ends):
    services = cloud.compute_services().values()
    assert {(service["status"], service["state"]) for service in services} == {("enabled", "up")}
