# SPDX-License-Identifier: Apache-2.0
"""Lists of 1,000 servers: Nova's own with the filter in nova-api's pipeline and out of it, and ours of as many pairs."""

import itertools
import os
import statistics
import time

import pytest
import requests

from lab.schema import connect_as_root
from nova_colo.db import pairs
from tests import many_servers
from tests.benchmarks.made_up import ft_database, pair_columns
from tests.cloud import Cloud, wait_for
from tests.stock_nova import stock_nova_api

#: Servers in the lists. Making a thousand takes a quarter of an hour on two cores.
COUNT = int(os.environ.get("BENCH_SERVERS", "1000"))
FT_SERVERS = 20
pytestmark = pytest.mark.timeout(3600)
AT_ONCE = 100
ROUNDS = 15
PATH = f"/servers/detail?all_tenants=1&limit={COUNT}"
PAIRS_PATH = f"/os-fault-tolerance/servers?all_tenants=1&limit={COUNT}"


@pytest.fixture(scope="module")
def cloud(lab) -> Cloud:
    """As many servers as are measured, those that are there already included."""
    cloud = Cloud(lab)
    there = len(active(cloud))
    if there < COUNT:
        make(cloud, "ft.nano", min(FT_SERVERS, COUNT - there))
        make(cloud, "m1.nano", COUNT - len(active(cloud)))
    return cloud


def make(cloud: Cloud, flavor: str, count: int) -> None:
    """Create servers, some at a time."""
    for number in range(0, count, AT_ONCE):
        wanted = len(active(cloud)) + min(AT_ONCE, count - number)
        many_servers.create(cloud, f"bench-{flavor}-{number}", flavor, min(AT_ONCE, count - number))
        wait_for(f"{wanted} servers are ACTIVE", 1200, lambda wanted=wanted: len(active(cloud)) == wanted)


def active(cloud: Cloud) -> list[str]:
    """Return the ids of all servers that are ACTIVE."""
    assert not listed(cloud, "ERROR"), "servers could not be made"
    return listed(cloud, "ACTIVE")


def listed(cloud: Cloud, status: str) -> list[str]:
    """Return the ids of all servers with a status."""
    found = cloud.request("GET", f"/servers?all_tenants=1&status={status}&limit={COUNT}").json()["servers"]
    return [server["id"] for server in found]


def test_the_filter_against_stock_nova(cloud, lab, tmp_path, capsys):
    """A ratio of medians over interleaved requests; nothing is asserted of it.

    Both processes are new, and nobody else asks one of them meanwhile: the engine looks at Nova's servers all the time.
    """
    token = {"X-Auth-Token": cloud.token("admin")}
    lab.service("engine").stop()
    lab.service("nova-api").restart()
    try:
        with stock_nova_api(lab, tmp_path) as stock_url:
            seconds = _measure({"with": cloud.compute + PATH, "without": stock_url + PATH}, token)
    finally:
        lab.service("engine").start()
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ratios = [one / other for one, other in zip(seconds["with"], seconds["without"], strict=True)]
    statements = _statements_per_request(cloud, lab)
    with capsys.disabled():
        print(f"\nGET /servers/detail, {COUNT} servers, {ROUNDS} rounds, filter in the pipeline against out of it:")
        print(f"  median {1000 * medians['with']:.0f} ms against {1000 * medians['without']:.0f} ms")
        print(f"  ratio of medians {medians['with'] / medians['without']:.3f}, median of ratios {statistics.median(ratios):.3f}")
        print(f"  extra SQL statements per request: {statements:.2f}")


def test_our_list_against_novas_own(cloud, lab, tmp_path, capsys):
    """As many pairs as servers; the engine, which would remove pairs of servers that are none, is stopped meanwhile."""
    token = {"X-Auth-Token": cloud.token("admin")}
    lab.service("engine").stop()
    added = _add_pairs(lab, set(active(cloud)))
    try:
        with stock_nova_api(lab, tmp_path) as stock_url:
            seconds = _measure({"pairs": cloud.compute + PAIRS_PATH, "servers": stock_url + PATH}, token)
    finally:
        _remove_pairs(lab, added)
        lab.service("engine").start()
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    with capsys.disabled():
        print(f"\nlist of {COUNT} pairs against stock Nova's GET /servers/detail of {COUNT} servers, {ROUNDS} rounds:")
        print(f"  median {1000 * medians['pairs']:.0f} ms against {1000 * medians['servers']:.0f} ms")
        print(f"  ratio of medians {medians['pairs'] / medians['servers']:.3f}")


def _measure(urls: dict[str, str], token: dict[str, str]) -> dict[str, list[float]]:
    """Time interleaved requests, in seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in urls}
    with requests.Session() as session:
        orders = itertools.cycle((list(urls), list(reversed(urls))))
        for number, name in ((number, name) for number in range(ROUNDS + 4) for name in next(orders)):
            url = urls[name]
            began = time.perf_counter()
            response = session.get(url, headers=token, timeout=120)
            assert len(response.json()["servers"]) == COUNT
            if number >= 4:  # the workers' first requests connect to everything
                seconds[name].append(time.perf_counter() - began)
    return seconds


def _add_pairs(lab, servers: set[str]) -> set[str]:
    database = ft_database(lab.layout.etc / "nova-colo" / "nova-colo.conf")
    with database.writer() as session:
        added = servers - {row.server_id for row in pairs.all_pairs(session)}
        for server_id in sorted(added):
            pairs.add(session, **pair_columns(server_id, "compute-a", "compute-b"))
    return added


def _remove_pairs(lab, added: set[str]) -> None:
    with ft_database(lab.layout.etc / "nova-colo" / "nova-colo.conf").writer() as session:
        for server_id in added:
            pairs.remove(session, server_id)


def _statements_per_request(cloud: Cloud, lab) -> float:
    """Count what nova-api asks the FT database, by MariaDB's own log; the engine, which asks it too, is stopped meanwhile."""
    engine = lab.service("engine")
    engine.stop()
    requests_made = 10
    try:
        with connect_as_root(lab.spec()) as connection, connection.cursor() as cursor:
            cursor.execute("TRUNCATE mysql.general_log")
            cursor.execute("SET GLOBAL log_output = 'TABLE', GLOBAL general_log = 1")
            for _ in range(requests_made):
                assert cloud.request("GET", PATH).status_code == 200
            cursor.execute("SET GLOBAL general_log = 0")
            cursor.execute(
                "SELECT count(*) FROM mysql.general_log WHERE command_type = 'Query' AND user_host LIKE 'nova_colo%' "
                "AND argument REGEXP '^[[:space:]]*(SELECT|INSERT|UPDATE|DELETE)'"
            )
            return cursor.fetchone()[0] / requests_made
    finally:
        engine.start()
