# SPDX-License-Identifier: Apache-2.0
"""The interruption that users notice when a host dies, for an FT server and an evacuated plain one.

No value is asserted.
"""

import os
import statistics
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab import Lab
from tests.cloud_real.conftest import switch_on
from tests.cloud_real.nova_server import PATIENCE
from tests.cloud_real.plain import PlainServer
from tests.cloud_real.server import FtServer
from tests.fixtures.cloud import Cloud, wait_for

pytestmark = pytest.mark.timeout(7200)
FAILOVERS = int(os.environ.get("BENCH_FAILOVERS", "20"))
EVACUATIONS = int(os.environ.get("BENCH_EVACUATIONS", "5"))
#: Longer than two report_intervals.
SETTLED_S = 4.0


@pytest.fixture(scope="module")
def cloud(real_lab: Lab) -> Cloud:
    return Cloud(real_lab)


@pytest.fixture(scope="module")
def figures() -> Iterator[dict[str, list[float]]]:
    """Yield lists of seconds by description, and print them at the end."""
    figures: dict[str, list[float]] = {}
    yield figures
    print(f"\n{'seconds':66} {'n':>3} {'p50':>7} {'p95':>7} {'max':>7}")
    for name, values in figures.items():
        p95 = statistics.quantiles(values, n=20, method="inclusive")[18] if len(values) > 1 else values[0]
        print(f"{name:66} {len(values):3} {statistics.median(values):7.2f} {p95:7.2f} {max(values):7.2f}")


def settled(server: FtServer) -> dict[str, Any]:
    """Return the pair after a time without operations, so that a failure is handled at once."""
    server.pair()
    time.sleep(SETTLED_S)
    return server.pair()


def note(figures: dict[str, list[float]], name: str, value: float) -> None:
    figures.setdefault(name, []).append(value)


def test_how_long_a_server_is_waited_for(
    real_lab: Lab, cloud: Cloud, figures: dict[str, list[float]]
) -> None:
    for _ in range(EVACUATIONS):
        began = time.time()
        server = FtServer(cloud)
        try:
            note(figures, "FT server: from create to ACTIVE", time.time() - began)
            server.pair()
            note(figures, "FT server: from create to protected", time.time() - began)
        finally:
            server.delete()
        began = time.time()
        plain = PlainServer(cloud)
        note(figures, "plain server: from create to its first answer", time.time() - began)
        plain.delete()


def test_an_ft_server(real_lab: Lab, cloud: Cloud, figures: dict[str, list[float]]) -> None:
    server = FtServer(cloud)
    try:
        server.use(0.02)
        for _ in range(FAILOVERS):
            before, began = server.pair(), time.time()
            server.act("failover")
            server.failed_over(before)
            note(figures, "FT server: client's gap, planned failover", server.goes_on(since=began))
        for _ in range(EVACUATIONS):
            before, began = settled(server), time.time()
            server.kill_qemu(before["primary"]["host"])
            server.failed_over(before)
            note(figures, "FT server: client's gap, its QEMU is killed", server.goes_on(since=began))
        for _ in range(FAILOVERS):
            before, began = settled(server), time.time()
            dead, new = before["primary"]["host"], before["secondary"]["host"]
            real_lab.host(dead).kill()
            server.has_failed_over(before)
            note(figures, "FT server: from its host's death to its secondary's grant", time.time() - began)
            wait_for("Nova shows it", PATIENCE, lambda new=new: server.host == new)
            note(figures, "FT server: from its host's death to Nova's new host", time.time() - began)
            server.failed_over(before)
            note(figures, "FT server: from its host's death to protected again", time.time() - began)
            note(figures, "FT server: client's gap, its host dies", server.goes_on(since=began))
            switch_on(cloud)
        for _ in range(EVACUATIONS):
            before, began = settled(server), time.time()
            real_lab.host(before["secondary"]["host"]).kill()
            server.moved(before)
            note(
                figures,
                "FT server: from its secondary's host's death to protected again",
                time.time() - began,
            )
            note(figures, "FT server: client's gap, its secondary's host dies", server.goes_on(since=began))
            switch_on(cloud)
        wait_for("all hosts can be used", PATIENCE, lambda: all(host["capable"] for host in cloud.ft_hosts()))
        before, began = settled(server), time.time()
        server.act("ft-migrate-secondary", {"host": None})
        server.moved(before)
        note(figures, "FT server: a move of its secondary", time.time() - began)
        note(figures, "FT server: client's gap, its secondary moves", server.goes_on(since=began))
    finally:
        server.delete()


def take_back(lab: Lab, cloud: Cloud, host: str) -> None:
    """Power on a host that was forced down, and enable it in Nova when its nova-compute has cleaned up."""

    def is_taken_back() -> bool:
        try:
            cloud.force_down(host, False)
        except AssertionError:
            return False
        return True

    lab.host(host).start()
    wait_for("Nova takes it back", PATIENCE, is_taken_back)
    switch_on(cloud)


def test_a_plain_server_that_is_evacuated(
    real_lab: Lab, cloud: Cloud, figures: dict[str, list[float]]
) -> None:
    """Evacuate like Masakari, but at once after the host's death; memory and disk are lost."""
    server = PlainServer(cloud)
    try:
        for _ in range(EVACUATIONS):
            dead, began = server.host, time.time()
            real_lab.host(dead).kill()
            cloud.force_down(dead, True)
            server.act("evacuate", {"onSharedStorage": False})
            wait_for("Nova shows it", PATIENCE, lambda dead=dead: server.host != dead)
            server.in_status("ACTIVE")
            note(figures, "plain server: from its host's death to Nova's new host", time.time() - began)
            server.answers()
            note(figures, "plain server: client's gap, its host dies", time.time() - began)
            take_back(real_lab, cloud, dead)
    finally:
        server.delete()
