# SPDX-License-Identifier: Apache-2.0
"""The image, the flavors and the network of the servers."""

from pathlib import Path
from typing import Any

from openstack.connection import Connection

IMAGE = "cirros"
FLAVORS: dict[str, dict[str, str]] = {"m1.nano": {}, "ft.nano": {"ft:enabled": "1"}}
NETWORK = "demo-net"
SUBNET = "demo-subnet"
CIDR = "10.20.0.0/24"
#: Network of real hosts' guests, and its addresses that the lab does not use itself.
REAL_CIDR, REAL_POOL = "10.77.0.0/24", {"start": "10.77.0.16", "end": "10.77.0.250"}


def seed_image(cloud: Connection, disk: Path | None) -> None:
    """Create the image.

    :param disk: a raw disk to upload; by default 64 KiB of zeros, which suffice for simulated guests
    """
    image = cloud.image.find_image(IMAGE)
    if image is not None and image.status != "active":  # an interrupted upload
        cloud.image.delete_image(image.id)
        image = None
    if image is None:
        data = disk.read_bytes() if disk else b"\0" * 65536
        cloud.image.create_image(
            name=IMAGE, disk_format="raw", container_format="bare", visibility="public", data=data
        )


def seed_flavors(cloud: Connection, real: bool) -> None:
    """Create the flavors; one is fault tolerant.

    :param real: for real guests
    """
    for name, extra_specs in FLAVORS.items():
        flavor = cloud.compute.find_flavor(name)
        if flavor is None:
            flavor = cloud.compute.create_flavor(name=name, ram=128 if real else 64, vcpus=1, disk=1)
        if extra_specs:
            cloud.compute.create_flavor_extra_specs(flavor, extra_specs)


def seed_network(cloud: Connection, real: bool) -> None:
    """Create the network in the project that ``cloud`` is connected to.

    :param real: for real hosts: their physical network, flat
    """
    project_id = cloud.current_project_id
    network = _find(cloud, "networks", NETWORK, project_id)
    if network is None:
        flat = {"provider:network_type": "flat", "provider:physical_network": "guest"} if real else {}
        network = cloud.network.create_network(name=NETWORK, project_id=project_id, **flat)
    if _find(cloud, "subnets", SUBNET, project_id) is None:
        addressing = (
            {"cidr": REAL_CIDR, "allocation_pools": [REAL_POOL], "gateway_ip": None}
            if real
            else {"cidr": CIDR}
        )
        attributes = {"name": SUBNET, "project_id": project_id, "network_id": network.id}
        cloud.network.create_subnet(**attributes, **addressing, ip_version=4, enable_dhcp=False)


def _find(cloud: Connection, collection: str, name: str, project_id: str | None) -> Any:
    return next(getattr(cloud.network, collection)(name=name, project_id=project_id), None)
