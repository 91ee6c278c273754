# SPDX-License-Identifier: Apache-2.0
"""Lists of 1,000 servers: Nova's own with and without the filter, and ours of as many pairs."""

import itertools
import os
import statistics
import time

import pytest
import requests

from lab.cloud.schema import connect_as_root
from tests.benchmarks.bench_cloud import active, each_a_pair, with_servers
from tests.fixtures.cloud import Cloud
from tests.fixtures.stock_nova import stock_nova_api

#: Servers in the lists; to create a thousand takes a quarter of an hour on two cores.
COUNT = int(os.environ.get("BENCH_SERVERS", "1000"))
pytestmark = pytest.mark.timeout(3600)
ROUNDS = 15
PATH = f"/servers/detail?all_tenants=1&limit={COUNT}"
PAIRS_PATH = f"/os-fault-tolerance/servers?all_tenants=1&limit={COUNT}"


@pytest.fixture(scope="module")
def cloud(lab) -> Cloud:
    return with_servers(lab, COUNT)


def test_the_filter_against_stock_nova(cloud, lab, tmp_path, capsys):
    """Print the ratio of medians over interleaved requests; no value is asserted.

    Both processes are new, and no one else sends requests to either: the engine polls Nova all the time.
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
        print(
            f"\nGET /servers/detail, {COUNT} servers, {ROUNDS} rounds, "
            "filter in the pipeline against out of it:"
        )
        print(f"  median {1000 * medians['with']:.0f} ms against {1000 * medians['without']:.0f} ms")
        print(
            f"  ratio of medians {medians['with'] / medians['without']:.3f}, "
            f"median of ratios {statistics.median(ratios):.3f}"
        )
        print(f"  extra SQL statements per request: {statements:.2f}")


def test_our_list_against_novas_own(cloud, lab, tmp_path, capsys):
    """As many pairs as servers; prints the ratio of medians. No value is asserted."""
    token = {"X-Auth-Token": cloud.token("admin")}
    with each_a_pair(lab, set(active(cloud))), stock_nova_api(lab, tmp_path) as stock_url:
        seconds = _measure({"pairs": cloud.compute + PAIRS_PATH, "servers": stock_url + PATH}, token)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    with capsys.disabled():
        print(
            f"\nlist of {COUNT} pairs against stock Nova's GET /servers/detail of {COUNT} servers, "
            f"{ROUNDS} rounds:"
        )
        print(f"  median {1000 * medians['pairs']:.0f} ms against {1000 * medians['servers']:.0f} ms")
        print(f"  ratio of medians {medians['pairs'] / medians['servers']:.3f}")


def _measure(urls: dict[str, str], token: dict[str, str]) -> dict[str, list[float]]:
    """Return the times of interleaved requests in seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in urls}
    with requests.Session() as session:
        orders = itertools.cycle((list(urls), list(reversed(urls))))
        for number, name in ((number, name) for number in range(ROUNDS + 4) for name in next(orders)):
            url = urls[name]
            began = time.perf_counter()
            response = session.get(url, headers=token, timeout=120)
            assert len(response.json()["servers"]) == COUNT
            if number >= 4:  # the workers' first requests open their connections
                seconds[name].append(time.perf_counter() - began)
    return seconds


def _statements_per_request(cloud: Cloud, lab) -> float:
    """Count nova-api's statements to the FT database in MariaDB's general log, with the engine stopped."""
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
                "SELECT count(*) FROM mysql.general_log "
                "WHERE command_type = 'Query' AND user_host LIKE 'nova_colo%' "
                "AND argument REGEXP '^[[:space:]]*(SELECT|INSERT|UPDATE|DELETE)'"
            )
            return cursor.fetchone()[0] / requests_made
    finally:
        engine.start()
