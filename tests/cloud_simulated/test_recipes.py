# SPDX-License-Identifier: Apache-2.0
"""The guide's recipes have the documented output on a whole cloud, line by line."""

import pathlib
import re
import subprocess

import pytest

from lab.core.patience import patient
from tests.fixtures.cloud import BIN, Cloud, wait_for

GUIDE = pathlib.Path(__file__).parents[2] / "docs" / "recipes.md"
PROMPT = "$ "
#: Patterns of what differs from cloud to cloud, and their replacements.
DIFFERENT = (
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>"),
    (r"compute-[abc]", "<host>"),
    (r"it is (degraded|starting|protected) now", "it is <state> now"),
    (r"-+", "-"),
    (r" +", " "),
)


def commands() -> list[tuple[str, str]]:
    """Return the guide's commands with their output."""
    session = "".join(re.findall(r"```console\n(.*?)```", GUIDE.read_text(), re.S))
    parts = re.split(rf"^{re.escape(PROMPT)}", session, flags=re.M)[1:]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


def read(output: str) -> list[str]:
    """Return the lines of an output without what differs from cloud to cloud."""
    for pattern, word in DIFFERENT:
        output = re.sub(pattern, word, output)
    return [line for line in output.splitlines() if "simulated backend" not in line]


@pytest.fixture
def run(cloud: Cloud, monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs a shell command as admin in the demo project, and returns its output."""
    for name, value in cloud.lab.env("admin", "demo").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", str(BIN), prepend=":")

    def run(command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", f"{{ {command}\n}} 2>&1"], capture_output=True, text=True, timeout=patient(300)
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


@pytest.fixture
def as_in_the_guide(cloud: Cloud):
    """Place the demo servers where the recipes expect them, and delete afterwards what these create."""
    place(cloud, "web-1", "compute-a", "compute-b")
    place(cloud, "web-2", "compute-b", "compute-a")
    try:
        yield
    finally:
        cloud.run("openstack", "compute", "service", "set", "--enable", "compute-a", "nova-compute")
        for name in ("app-1", "app-2"):
            cloud.run("openstack", "server", "delete", "--all-projects", "--wait", name)
        cloud.run("openstack", "flavor", "delete", "ft.tiny", "ft.more")


def place(cloud: Cloud, name: str, primary: str, secondary: str) -> None:
    """Move the replicas of a pair to two hosts."""
    pair = cloud.protected(name)
    if pair["primary"]["host"] != primary:
        move_secondary(cloud, name, primary)
        pair = cloud.protected(name)
        assert cloud.act(pair["server_id"], {"failover": None}).status_code == 202
        cloud.failed_over(name, pair)
    move_secondary(cloud, name, secondary)


def move_secondary(cloud: Cloud, name: str, host: str) -> None:
    """Move the secondary of a protected pair, unless it is there."""
    pair = cloud.protected(name)
    if pair["secondary"]["host"] != host:
        done = cloud.run(
            "openstack", "server", "ft", "migrate", "secondary", "--wait", "--host", host, pair["server_id"]
        )
        assert done.returncode == 0, done.stderr


def all_are_well(cloud: Cloud) -> bool:
    """Return whether all protected pairs are healthy: on a busy machine a report may be late once."""
    return all(pair["health"] == "ok" for pair in cloud.pairs().values() if pair["state"] == "protected")


@pytest.mark.long
def test_the_recipes_do_what_they_say(cloud, run, as_in_the_guide):
    assert len(commands()) > 20
    for command, expected in commands():
        if re.search(r"\bft (show|list)\b", command):
            wait_for("all are well", 60, lambda: all_are_well(cloud))
        assert read(run(command)) == read(expected), command
