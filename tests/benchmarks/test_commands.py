# SPDX-License-Identifier: Apache-2.0
"""Our commands compared with stock ones that request as much of the same cloud."""

import itertools
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from lab.core.patience import patient
from tests.benchmarks.bench_cloud import active, each_a_pair, with_servers
from tests.fixtures.cloud import BIN, Cloud

SERVERS = 200
ROUNDS = 9
pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def cloud(lab) -> Cloud:
    return with_servers(lab, SERVERS)


def test_a_list_of_ft_servers_against_a_list_of_servers(cloud, lab, capsys):
    lists = {
        name: ("openstack", *command, "--all-projects", "--limit", str(SERVERS), "-f", "json")
        for name, command in {
            "server ft list": ("server", "ft", "list"),
            "server list": ("server", "list"),
        }.items()
    }
    with each_a_pair(lab, set(active(cloud))):
        medians = _measure(cloud, lists)
    with capsys.disabled():
        print(f"\nopenstack, {SERVERS} servers: {medians}")


def test_a_failover_against_a_lock(cloud, lab, capsys):
    before = cloud.protected("web-1")

    def settle() -> None:
        """Wait until the failover is complete, which takes longer than its command."""
        cloud.failed_over("web-1", before)
        before.update(cloud.protected("web-1"))

    commands = {"failover": ("nova", "failover", "web-1"), "lock": ("nova", "lock", "plain-1")}
    medians = _measure(cloud, commands, after={"failover": settle}, user="manager")
    cloud.run("nova", "unlock", "plain-1", user="manager")
    with capsys.disabled():
        print(f"\nnova: {medians}")


def _measure(
    cloud: Cloud,
    commands: dict[str, tuple[str, ...]],
    after: dict[str, Callable[[], None]] | None = None,
    user: str = "admin",
) -> str:
    """Run commands in turn, and return the medians and their ratio as text, without the first run of each.

    :param after: called after a command, and not timed
    :param user: runs the commands in their own project
    """
    env = {**os.environ, **cloud.lab.env(user)}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    orders: Iterator[list[str]] = itertools.cycle((list(commands), list(reversed(commands))))
    for number in range(ROUNDS + 1):
        for name in next(orders):
            program, *arguments = commands[name]
            began = time.perf_counter()
            # a new process with all its imports, unlike Cloud.run()
            done = subprocess.run(
                [BIN / program, *arguments], env=env, capture_output=True, text=True, timeout=patient(300)
            )
            if number:
                seconds[name].append(time.perf_counter() - began)
            assert done.returncode == 0, done.stderr
            if after and name in after:
                after[name]()
    ours, theirs = (statistics.median(values) for values in seconds.values())
    names = " against ".join(commands)
    return f"{names}, {ROUNDS} rounds: median {ours:.2f} s against {theirs:.2f} s, ratio {ours / theirs:.2f}"
