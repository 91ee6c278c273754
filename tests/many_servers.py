# SPDX-License-Identifier: Apache-2.0
"""Many servers at once, and the whole truth about each: Nova, placement, the FT database and the hosts."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from lab.seed.resources import IMAGE
from nova_colo.pair.model import twin_id
from tests.cloud import Cloud, wait_for

VERSION = {"OpenStack-API-Version": "compute 2.67"}
PAGE = 1000


def listed(cloud: Cloud, prefix: str) -> dict[str, dict[str, Any]]:
    """Return admin's servers whose names begin with a prefix, by name, as Nova shows them."""
    response = cloud.request("GET", f"/servers/detail?all_tenants=1&name=^{prefix}&limit={PAGE}", headers=VERSION)
    assert response.status_code == 200, response.text
    return {server["name"]: server for server in response.json()["servers"]}


def create(cloud: Cloud, prefix: str, flavor: str, count: int, zone: str | None = None) -> None:
    """Ask for servers ``PREFIX-1`` to ``PREFIX-COUNT`` in one request.

    :param zone: availability zone, or ``nova:HOST``
    """
    body = {
        "name": prefix,
        "imageRef": cloud.sdk.image.find_image(IMAGE, ignore_missing=False).id,
        "flavorRef": cloud.sdk.compute.find_flavor(flavor, ignore_missing=False).id,
        "networks": "none",
        "min_count": count,
    } | ({"availability_zone": zone} if zone else {})
    answer = cloud.request("POST", "/servers", headers=VERSION, json={"server": body})
    assert answer.status_code == 202, answer.text


def active(cloud: Cloud, prefix: str, count: int, seconds: float) -> dict[str, dict[str, Any]]:
    """Wait until servers are ACTIVE and at rest; gives them by name."""

    def look() -> dict[str, dict[str, Any]] | None:
        servers = listed(cloud, prefix)
        settled = [s for s in servers.values() if s["status"] == "ACTIVE" and s["OS-EXT-STS:task_state"] is None]
        return servers if len(servers) == len(settled) == count else None

    return wait_for(f"{count} servers {prefix} are ACTIVE", seconds, look)


@contextlib.contextmanager
def ft_servers(cloud: Cloud, prefix: str, count: int, zone: str | None = None, seconds: float = 240) -> Iterator[dict[str, Any]]:
    """Make protected FT servers; gives their pairs by name. They are deleted at the end."""
    try:
        create(cloud, prefix, "ft.nano", count, zone)
        active(cloud, prefix, count, seconds)
        yield wait_for(f"{count} servers are protected", seconds, lambda: in_states(cloud, prefix, count, "protected"))
    finally:
        delete(cloud, prefix, seconds)


def delete(cloud: Cloud, prefix: str, seconds: float = 240) -> None:
    """Delete servers and wait until nothing is left of them, reservations included."""
    ids = [server["id"] for server in listed(cloud, prefix).values()]
    for server_id in ids:
        cloud.request("DELETE", f"/servers/{server_id}")
    wait_for("the servers are gone", seconds, lambda: not listed(cloud, prefix))
    wait_for("their pairs are gone", seconds, lambda: not any(name.startswith(prefix) for name in cloud.pairs()))
    twins = {twin_id(server_id) for server_id in ids}
    wait_for("their reservations are gone", 120, lambda: not twins & set(allocations(cloud)))


def in_states(cloud: Cloud, prefix: str, count: int, *states: str) -> dict[str, Any] | None:
    """Return the pairs whose names begin with a prefix, by name, when so many are in one of the states; else None."""
    found = {name: pair for name, pair in cloud.pairs().items() if name.startswith(prefix)}
    return found if len(found) == count and all(pair["state"] in states for pair in found.values()) else None


def allocations(cloud: Cloud) -> dict[str, set[str]]:
    """Return on which hosts each consumer in placement holds something."""
    held: dict[str, set[str]] = {}
    for provider in cloud.placement("GET", "/resource_providers").json()["resource_providers"]:
        body = cloud.placement("GET", f"/resource_providers/{provider['uuid']}/allocations").json()
        for consumer in body["allocations"]:
            held.setdefault(consumer, set()).add(provider["name"])
    return held


def guests(cloud: Cloud, server_id: str) -> dict[str, str]:
    """Return the states of a server's simulated guests, by host."""
    found = cloud.lab.layout.simulated.glob(f"*/{server_id}.json")
    return {path.parent.name: json.loads(path.read_text())["state"] for path in found}
