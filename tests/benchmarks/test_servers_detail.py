# SPDX-License-Identifier: Apache-2.0
"""What the filter costs GET /servers/detail with 200 servers: in nova-api's pipeline against out of it, in one run."""

import itertools
import statistics
import time

import pytest
import requests

from lab.schema import connect_as_root
from tests.cloud import Cloud, wait_for
from tests.stock_nova import stock_nova_api

SERVERS = {"ft.nano": 20, "m1.nano": 177}
ROUNDS = 40
PATH = "/servers/detail?all_tenants=1&limit=200"


@pytest.fixture(scope="module")
def cloud(lab) -> Cloud:
    """The demo servers and 197 more."""
    cloud = Cloud(lab)
    image = cloud.openstack("image", "show", "cirros")["id"]
    headers = {"OpenStack-API-Version": "compute 2.67"}
    for name, count in SERVERS.items():
        body = {
            "name": f"bench-{name}",
            "imageRef": image,
            "flavorRef": cloud.openstack("flavor", "show", name)["id"],
            "networks": "none",
            "min_count": count,
        }
        answer = cloud.request("POST", "/servers", headers=headers, json={"server": body})
        assert answer.status_code == 202, answer.text

    def active() -> bool:
        servers = cloud.request("GET", PATH).json()["servers"]
        return len(servers) == 200 and all(server["status"] == "ACTIVE" for server in servers)

    wait_for("200 servers are ACTIVE", 600, active)
    return cloud


def test_the_filter_against_stock_nova(cloud, lab, tmp_path, capsys):
    """A ratio of medians over interleaved requests; nothing is asserted of it."""
    token = {"X-Auth-Token": cloud.token("admin")}
    seconds: dict[str, list[float]] = {"with": [], "without": []}
    with stock_nova_api(lab, tmp_path) as stock_url, requests.Session() as session:
        urls = {"with": cloud.compute + PATH, "without": stock_url + PATH}
        for number, (name, url) in itertools.product(range(ROUNDS + 4), urls.items()):
            began = time.perf_counter()
            response = session.get(url, headers=token, timeout=120)
            assert len(response.json()["servers"]) == 200
            if number >= 4:  # the workers' first requests connect to everything
                seconds[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ratios = [one / other for one, other in zip(seconds["with"], seconds["without"], strict=True)]
    statements = _statements_per_request(cloud, lab)
    with capsys.disabled():
        print(f"\nGET /servers/detail, 200 servers, {ROUNDS} rounds, filter in the pipeline against out of it:")
        print(f"  median {1000 * medians['with']:.0f} ms against {1000 * medians['without']:.0f} ms")
        print(f"  ratio of medians {medians['with'] / medians['without']:.3f}, median of ratios {statistics.median(ratios):.3f}")
        print(f"  extra SQL statements per request: {statements:.2f}")


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
