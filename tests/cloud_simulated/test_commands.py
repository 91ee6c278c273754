# SPDX-License-Identifier: Apache-2.0
"""openstack on a whole cloud: everything that can be asked for fault tolerance, and what it prints."""

import csv
import io
import json
import os
import subprocess

import pytest

from lab.core.patience import patient
from tests.fixtures.cloud import BIN, wait_for

SERVER = "web-1"


@pytest.fixture
def say(cloud):
    """Run an openstack command that is done, as admin; gives what it has printed."""

    def say(*arguments: str) -> str:
        done = cloud.run("openstack", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return say


@pytest.fixture
def refused(cloud):
    """Run an openstack command that is refused; gives its one line."""

    def refused(*arguments: str, user: str = "admin") -> str:
        done = cloud.run("openstack", *arguments, user=user)
        assert (done.returncode, done.stdout) == (1, ""), done
        said = [line for line in done.stderr.splitlines() if "simulated backend" not in line]
        assert len(said) == 1, done.stderr
        return said[0]

    return refused


def test_protection_is_suspended_resumed_removed_and_asked_for(say, cloud, pair):
    assert say("server", "ft", "suspend", "--wait", SERVER) == f"Server {SERVER} is suspended now.\n"
    assert say("server", "ft", "resume", "--wait", SERVER).startswith(
        f"Server {SERVER} is protected now: primary on compute-"
    )
    assert say("server", "ft", "unprotect", "--wait", SERVER) == f"Server {SERVER} is unprotected now.\n"
    assert say("server", "ft", "protect", SERVER) == f"Protection of server {SERVER} requested.\n"
    cloud.protected(SERVER)


def test_the_secondary_moves_and_the_mode_is_set(say, cloud, pair):
    before = cloud.protected(SERVER)
    (third,) = {"compute-a", "compute-b", "compute-c"} - {
        before["primary"]["host"],
        before["secondary"]["host"],
    }
    said = say("server", "ft", "migrate", "secondary", "--host", third, "--wait", SERVER)
    moved = f"from {before['secondary']['host']} to {third}"
    assert said == f"The secondary of server {SERVER} moved {moved}; it is protected now.\n"
    for mode in ("hybrid", "colo"):
        assert (
            say("server", "ft", "set", "mode", "--wait", mode, SERVER)
            == f"The mode of server {SERVER} is {mode} now.\n"
        )


def test_a_test_failover_comes_back(say, cloud, pair):
    before = cloud.protected(SERVER)
    said = say("server", "ft", "test", "failover", "--return", "--wait", SERVER)
    assert (
        said == f"Server {SERVER} failed over and back to {before['primary']['host']}; it is protected now.\n"
    )
    assert cloud.pairs()[SERVER]["primary"]["host"] == before["primary"]["host"]


def test_what_is_not_possible_now_is_refused_with_a_remedy(refused, cloud, pair):
    said = refused("server", "ft", "resume", SERVER)
    assert said.startswith(
        f"{SERVER}: The server's protection is not suspended. (HTTP 409) (Request-ID: req-"
    )
    assert "is not fault tolerant. Create it from a flavor" in refused("server", "ft", "protect", "plain-1")
    assert "Host nowhere has no nova-colo-agent" in refused(
        "server", "ft", "migrate", "secondary", "--host", "nowhere", SERVER
    )
    assert "HTTP 403" in refused("compute", "ft", "host", "list", user="demo")


@pytest.mark.parametrize(
    "command",
    [
        ("server", "ft", "event", "list", SERVER, "--long"),
        (
            "server",
            "ft",
            "checkpoint",
            "list",
            "--since",
            "2026-01-01T00:00:00Z",
            SERVER,
        ),  # so that none drops out meanwhile
        ("compute", "ft", "host", "list", "--long"),
        ("flavor", "ft", "list", "--long"),
        ("server", "ft", "list", "--long", "--all-projects"),
    ],
    ids=" ".join,
)
def test_lists_can_be_read_by_programs(say, pair, command):
    rows = wait_for("there is something to list", 120, lambda: json.loads(say(*command, "-f", "json")))
    read = list(csv.DictReader(io.StringIO(say(*command, "-f", "csv"))))
    assert list(read[0]) == list(rows[0])
    # the cloud goes on meanwhile: there may be more by now
    assert len(say(*command, "-f", "value", "-c", next(iter(rows[0]))).splitlines()) >= len(read) >= len(rows)
    assert say(*command).startswith("+--")


def test_a_flavor_is_made_changed_and_made_ordinary(say, refused):
    made = json.loads(
        say(
            "flavor",
            "ft",
            "create",
            "ft.made",
            "--ram",
            "64",
            "--disk",
            "1",
            "--mode",
            "hybrid",
            "-f",
            "json",
        )
    )
    try:
        assert (made["fault_tolerant"], made["mode"], made["secondary_ram"]) == (True, "hybrid", 128)
        assert "ft.made" in refused("flavor", "ft", "create", "ft.made", "--ram", "64")
        changed = json.loads(
            say(
                "flavor",
                "ft",
                "set",
                "ft.made",
                "--mode",
                "checkpoint",
                "--checkpoint-interval",
                "200",
                "-f",
                "json",
            )
        )
        assert (changed["mode"], changed["checkpoint_interval_ms"]) == ("checkpoint", 200)
        assert "ft.made" in say("flavor", "ft", "list")
        assert json.loads(say("flavor", "ft", "unset", "ft.made", "-f", "json"))["fault_tolerant"] is False
        assert "ft.made" not in say("flavor", "ft", "list")
    finally:
        say("flavor", "delete", "ft.made")
    assert refused("flavor", "ft", "set", "ft.made") == "No flavor with a name or ID of 'ft.made' exists."


def test_a_private_flavor_is_made_for_a_project(say, cloud):
    say("flavor", "ft", "create", "ft.private", "--ram", "64", "--project", "demo")
    try:
        assert json.loads(say("flavor", "show", "ft.private", "-f", "json"))["access_project_ids"] == [
            cloud.project_id("demo")
        ]
    finally:
        say("flavor", "delete", "ft.private")


def test_nova_has_the_same(cloud, pair):
    def nova(*arguments: str) -> str:
        done = cloud.run("nova", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert f"| name                   | {SERVER}" in nova("ft-show", SERVER)
    assert len(nova("ft-event-list", "--limit", "1", SERVER).splitlines()) == 5
    assert nova("ft-suspend", SERVER) == f"Suspension of the protection of server {SERVER} requested.\n"
    cloud.in_state(SERVER, "suspended")
    assert nova("ft-resume", SERVER) == f"Protection of server {SERVER} requested.\n"
    cloud.protected(SERVER)
    assert "ft.nano" in nova("ft-flavor-list")
    assert cloud.run("nova", "ft-resume", SERVER).returncode == 1


def test_orbits_own_way(cloud):
    """Word for word: a flavor's extra spec, a server of it, nova failover."""
    nova = lambda *arguments: cloud.run("nova", *arguments)  # noqa: E731
    assert nova("flavor-create", "orbit", "orbit", "64", "1", "1").returncode == 0
    try:
        assert nova("flavor-key", "orbit", "set", "ft:enabled=1").returncode == 0
        image = cloud.sdk.image.find_image("cirros", ignore_missing=False).id
        booted = nova("boot", "--flavor", "orbit", "--image", image, "--nic", "none", "orbit-1")
        assert booted.returncode == 0, booted.stderr
        before = cloud.protected("orbit-1")
        assert nova("failover", "orbit-1").stdout == "Failover of server orbit-1 requested.\n"
        assert cloud.failed_over("orbit-1", before)["primary"]["host"] == before["secondary"]["host"]
    finally:
        nova("delete", "orbit-1")
        nova("flavor-delete", "orbit")


def test_a_list_is_watched_on_a_terminal_until_ctrl_c(cloud, pair):
    command = f"{BIN / 'openstack'} server ft list --all-projects --watch 1"
    terminal = [
        "timeout",
        "--signal=INT",
        "--kill-after=20",
        "25",
        "script",
        "--quiet",
        "--return",
        "--command",
        command,
        "/dev/null",
    ]
    env = {**os.environ, **cloud.lab.env("admin"), "TERM": "xterm"}
    done = subprocess.run(
        terminal, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=patient(90)
    )
    screens = done.stdout.split("\x1b[H\x1b[J")[1:]
    assert len(screens) >= 2, done
    assert all(SERVER in screen and "Ctrl-C ends" in screen for screen in screens[:-1])
    assert "Traceback" not in done.stdout
