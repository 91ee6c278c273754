# SPDX-License-Identifier: Apache-2.0
"""Image, flavors, network: what a server is made of."""

from pathlib import Path
from typing import Any

from openstack.connection import Connection

IMAGE = "cirros"
FLAVORS: dict[str, dict[str, str]] = {"m1.nano": {}, "ft.nano": {"ft:enabled": "1"}}
NETWORK = "demo-net"
SUBNET = "demo-subnet"
CIDR = "10.20.0.0/24"
#: The network that the real hosts' guests are in, and the addresses that are not the lab's own.
REAL_CIDR, REAL_POOL = "10.77.0.0/24", {"start": "10.77.0.16", "end": "10.77.0.250"}


def seed_image(cloud: Connection, disk: Path | None) -> None:
    """Make the image.

    :param disk: the raw disk that it is; by default 64 KiB of zeros, since a simulated guest boots from anything
    """
    found = cloud.image.find_image(IMAGE)
    if found is not None and found.status != "active":  # an upload that was cut off
        cloud.image.delete_image(found.id)
        found = None
    if found is None:
        data = disk.read_bytes() if disk else b"\0" * 65536
        cloud.image.create_image(
            name=IMAGE, disk_format="raw", container_format="bare", visibility="public", data=data
        )


def seed_flavors(cloud: Connection, real: bool) -> None:
    """Make the flavors; one is fault tolerant.

    :param real: whether their guests run
    """
    for name, extra_specs in FLAVORS.items():
        flavor = cloud.compute.find_flavor(name)
        if flavor is None:
            flavor = cloud.compute.create_flavor(name=name, ram=128 if real else 64, vcpus=1, disk=1)
        if extra_specs:
            cloud.compute.create_flavor_extra_specs(flavor, extra_specs)


def seed_network(cloud: Connection, real: bool) -> None:
    """Make the network of the project that ``cloud`` is connected to.

    :param real: whether it is the one that the hosts' cables are in
    """
    project_id = cloud.current_project_id
    network = _find(cloud, "networks", NETWORK, project_id)
    if network is None:
        flat = {"provider:network_type": "flat", "provider:physical_network": "guest"} if real else {}
        network = cloud.network.create_network(name=NETWORK, project_id=project_id, **flat)
    if _find(cloud, "subnets", SUBNET, project_id) is None:
        where = (
            {"cidr": REAL_CIDR, "allocation_pools": [REAL_POOL], "gateway_ip": None}
            if real
            else {"cidr": CIDR}
        )
        about = {"name": SUBNET, "project_id": project_id, "network_id": network.id}
        cloud.network.create_subnet(**about, **where, ip_version=4, enable_dhcp=False)


def _find(cloud: Connection, collection: str, name: str, project_id: str | None) -> Any:
    return next(getattr(cloud.network, collection)(name=name, project_id=project_id), None)
