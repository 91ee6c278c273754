# SPDX-License-Identifier: Apache-2.0
"""openstack's fault tolerance commands on a whole cloud, and their output."""

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
def output(cloud):
    """Return a function that runs an openstack command as admin, which succeeds, and returns its output."""

    def output(*arguments: str) -> str:
        done = cloud.run("openstack", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return output


@pytest.fixture
def refused(cloud):
    """Return a function that runs an openstack command, which is refused, and returns its line of output."""

    def refused(*arguments: str, user: str = "admin") -> str:
        done = cloud.run("openstack", *arguments, user=user)
        assert (done.returncode, done.stdout) == (1, ""), done
        lines = [line for line in done.stderr.splitlines() if "simulated backend" not in line]
        assert len(lines) == 1, done.stderr
        return lines[0]

    return refused


def test_protection_is_suspended_resumed_removed_and_asked_for(output, cloud, pair):
    assert output("server", "ft", "suspend", "--wait", SERVER) == f"Server {SERVER} is suspended now.\n"
    assert output("server", "ft", "resume", "--wait", SERVER).startswith(
        f"Server {SERVER} is protected now: primary on compute-"
    )
    assert output("server", "ft", "unprotect", "--wait", SERVER) == f"Server {SERVER} is unprotected now.\n"
    assert output("server", "ft", "protect", SERVER) == f"Protection of server {SERVER} requested.\n"
    cloud.protected(SERVER)


def test_the_secondary_moves_and_the_mode_is_set(output, cloud, pair):
    before = cloud.protected(SERVER)
    (third,) = {"compute-a", "compute-b", "compute-c"} - {
        before["primary"]["host"],
        before["secondary"]["host"],
    }
    text = output("server", "ft", "migrate", "secondary", "--host", third, "--wait", SERVER)
    moved = f"from {before['secondary']['host']} to {third}"
    assert text == f"The secondary of server {SERVER} moved {moved}; it is protected now.\n"
    for mode in ("hybrid", "colo"):
        assert (
            output("server", "ft", "set", "mode", "--wait", mode, SERVER)
            == f"The mode of server {SERVER} is {mode} now.\n"
        )


def test_a_test_failover_comes_back(output, cloud, pair):
    before = cloud.protected(SERVER)
    text = output("server", "ft", "test", "failover", "--return", "--wait", SERVER)
    assert (
        text == f"Server {SERVER} failed over and back to {before['primary']['host']}; it is protected now.\n"
    )
    assert cloud.pairs()[SERVER]["primary"]["host"] == before["primary"]["host"]


def test_what_is_not_possible_now_is_refused_with_a_remedy(refused, cloud, pair):
    text = refused("server", "ft", "resume", SERVER)
    assert text.startswith(
        f"{SERVER}: The server's protection is not suspended. (HTTP 409) (Request-ID: req-"
    )
    assert "is not fault tolerant. Resize it to a flavor" in refused("server", "ft", "protect", "plain-1")
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
        ),  # so that no server leaves the list meanwhile
        ("compute", "ft", "host", "list", "--long"),
        ("flavor", "ft", "list", "--long"),
        ("server", "ft", "list", "--long", "--all-projects"),
    ],
    ids=" ".join,
)
def test_lists_can_be_read_by_programs(output, pair, command):
    rows = wait_for("there is something to list", 120, lambda: json.loads(output(*command, "-f", "json")))
    read = list(csv.DictReader(io.StringIO(output(*command, "-f", "csv"))))
    assert list(read[0]) == list(rows[0])
    # events may have been added since
    assert (
        len(output(*command, "-f", "value", "-c", next(iter(rows[0]))).splitlines()) >= len(read) >= len(rows)
    )
    assert output(*command).startswith("+--")


def test_a_flavor_is_made_changed_and_made_ordinary(output, refused):
    flavor = json.loads(
        output(
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
        assert (flavor["fault_tolerant"], flavor["mode"], flavor["secondary_ram"]) == (True, "hybrid", 128)
        assert "ft.made" in refused("flavor", "ft", "create", "ft.made", "--ram", "64")
        changed = json.loads(
            output(
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
        assert "ft.made" in output("flavor", "ft", "list")
        assert json.loads(output("flavor", "ft", "unset", "ft.made", "-f", "json"))["fault_tolerant"] is False
        assert "ft.made" not in output("flavor", "ft", "list")
    finally:
        output("flavor", "delete", "ft.made")
    assert refused("flavor", "ft", "set", "ft.made") == "No flavor with a name or ID of 'ft.made' exists."


def test_a_private_flavor_is_made_for_a_project(output, cloud):
    output("flavor", "ft", "create", "ft.private", "--ram", "64", "--project", "demo")
    try:
        assert json.loads(output("flavor", "show", "ft.private", "-f", "json"))["access_project_ids"] == [
            cloud.project_id("demo")
        ]
    finally:
        output("flavor", "delete", "ft.private")


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
    """ORBIT's documented steps, literally: a flavor's extra spec, a server of it, nova failover."""
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
