# SPDX-License-Identifier: Apache-2.0
"""A cloud with as many servers and pairs as a benchmark needs."""

import contextlib
from collections.abc import Iterator

from lab import Lab
from nova_colo.db import pairs
from tests.benchmarks.made_up import ft_database, pair_columns
from tests.fixtures import many_servers
from tests.fixtures.cloud import Cloud, wait_for

FT_SERVERS = 20
AT_ONCE = 100


def with_servers(lab: Lab, count: int) -> Cloud:
    """Return the lab's cloud with at least ``count`` ACTIVE servers, existing ones included."""
    cloud = Cloud(lab)
    there = len(active(cloud))
    if there < count:
        _make(cloud, "ft.nano", min(FT_SERVERS, count - there))
        _make(cloud, "m1.nano", count - len(active(cloud)))
    return cloud


def active(cloud: Cloud) -> list[str]:
    """Return the ids of all ACTIVE servers, at most 1,000."""
    assert not _listed(cloud, "ERROR"), "servers could not be created"
    return _listed(cloud, "ACTIVE")


@contextlib.contextmanager
def each_a_pair(lab: Lab, servers: set[str]) -> Iterator[None]:
    """Add a pair for each server that has none, and stop the engine meanwhile, since it would remove them."""
    database = ft_database(lab.layout.etc / "nova-colo" / "nova-colo.conf")
    lab.service("engine").stop()
    with database.writer() as session:
        added = servers - {row.server_id for row in pairs.all_pairs(session)}
        for server_id in sorted(added):
            pairs.add(session, **pair_columns(server_id, "compute-a", "compute-b"))
    try:
        yield
    finally:
        with database.writer() as session:
            for server_id in added:
                pairs.remove(session, server_id)
        lab.service("engine").start()


def _make(cloud: Cloud, flavor: str, count: int) -> None:
    """Create servers, several at a time."""
    for number in range(0, count, AT_ONCE):
        wanted = len(active(cloud)) + min(AT_ONCE, count - number)
        many_servers.create(cloud, f"bench-{flavor}-{number}", flavor, min(AT_ONCE, count - number))
        wait_for(f"{wanted} servers are ACTIVE", 1200, lambda wanted=wanted: len(active(cloud)) == wanted)


def _listed(cloud: Cloud, status: str) -> list[str]:
    servers = cloud.request("GET", f"/servers?all_tenants=1&status={status}&limit=1000").json()["servers"]
    return [server["id"] for server in servers]
