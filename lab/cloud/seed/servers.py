# SPDX-License-Identifier: Apache-2.0
"""The demo servers, and the conditions to wait for."""

from collections.abc import Sequence

from openstack.connection import Connection

from lab.cloud.seed.resources import IMAGE, NETWORK
from lab.core.errors import LabError
from lab.core.patience import patient

FT_SERVERS = ("web-1", "web-2")
PLAIN_SERVERS = ("plain-1",)
#: First microversion that can create a server on a given host without force.
HOST_MICROVERSION = "2.74"


def hosts_not_ready(cloud: Connection, hosts: Sequence[str]) -> str | None:
    """Return which compute hosts are not ready for servers yet; None when all are."""
    up = {service.host for service in cloud.compute.services(binary="nova-compute") if service.state == "up"}
    # A hypervisor is listed only once its host is mapped to the cell.
    mapped = {hypervisor.name for hypervisor in cloud.compute.hypervisors()}
    missing = [host for host in hosts if host not in up & mapped]
    return f"not up yet: {', '.join(missing)}" if missing else None


def remove_unfinished(cloud: Connection) -> None:
    """Delete those demo servers that an interrupted ``up`` has left in a state other than ACTIVE."""
    for server in list(cloud.compute.servers()):
        if server.name in (*FT_SERVERS, *PLAIN_SERVERS) and server.status != "ACTIVE":
            cloud.compute.delete_server(server, force=server.status != "DELETED")
            cloud.compute.wait_for_delete(server, interval=0.5, wait=patient(60))


def seed_servers(cloud: Connection, hosts: Sequence[str]) -> None:
    """Create the demo servers in the project that ``cloud`` is connected to.

    The FT servers start on the first host, so that killing that one shows a failover.
    """
    existing = {server.name for server in cloud.compute.servers()}
    image = cloud.image.find_image(IMAGE, ignore_missing=False)
    network = cloud.network.find_network(NETWORK, ignore_missing=False)
    for names, flavor_name, host in (
        (FT_SERVERS, "ft.nano", hosts[0]),
        (PLAIN_SERVERS, "m1.nano", hosts[-1]),
    ):
        flavor = cloud.compute.find_flavor(flavor_name, ignore_missing=False)
        for name in names:
            if name in existing:
                continue
            body = {
                "name": name,
                "imageRef": image.id,
                "flavorRef": flavor.id,
                "networks": [{"uuid": network.id}],
                "host": host,
            }
            answer = cloud.compute.post("/servers", json={"server": body}, microversion=HOST_MICROVERSION)
            if not answer.ok:
                raise LabError(f"creating the server {name} failed: {answer.status_code} {answer.text}")


def servers_not_active(cloud: Connection) -> str | None:
    """Return which servers are not ACTIVE yet; None when all are. Raise LabError if one is in ERROR."""
    servers = {server.name: server for server in cloud.compute.servers()}
    missing = []
    for name in (*FT_SERVERS, *PLAIN_SERVERS):
        status = servers[name].status if name in servers else "missing"
        if status == "ERROR":
            fault = cloud.compute.get_server(servers[name].id).to_dict().get("fault") or {}
            raise LabError(f"the server {name} is in ERROR: {fault.get('message', 'no reason given')}")
        if status != "ACTIVE":
            missing.append(f"{name} is {status}")
    return ", ".join(missing) or None


def servers_not_protected(cloud: Connection) -> str | None:
    """Return which FT servers are not protected yet; None when all are. Requires an administrator."""
    answer = cloud.compute.get("/os-fault-tolerance/servers?all_tenants=1")
    if not answer.ok:
        return f"{answer.status_code} {answer.text[:200]}"
    pairs = {pair["name"]: pair for pair in answer.json()["servers"]}
    missing = []
    for name in FT_SERVERS:
        pair = pairs.get(name, {"state": "unknown", "state_reason": ""})
        if pair["state"] != "protected":
            missing.append(f"{name} is {pair['state']} {pair['state_reason']}".rstrip())
    return ", ".join(missing) or None
