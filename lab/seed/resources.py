# SPDX-License-Identifier: Apache-2.0
"""Image, flavors, network: what a server is made of."""

from typing import Any

from openstack.connection import Connection

IMAGE = "cirros"
FLAVORS: dict[str, dict[str, str]] = {"m1.nano": {}, "ft.nano": {"ft:enabled": "1"}}
NETWORK = "demo-net"
SUBNET = "demo-subnet"
CIDR = "10.20.0.0/24"


def seed_image(cloud: Connection) -> None:
    """Make the image: 64 KiB of zeros; a simulated guest boots from anything."""
    found = cloud.image.find_image(IMAGE)
    if found is not None and found.status != "active":  # an upload that was cut off
        cloud.image.delete_image(found.id)
        found = None
    if found is None:
        cloud.image.create_image(name=IMAGE, disk_format="raw", container_format="bare", visibility="public", data=b"\0" * 65536)


def seed_flavors(cloud: Connection) -> None:
    """Make the flavors; one is fault tolerant."""
    for name, extra_specs in FLAVORS.items():
        flavor = cloud.compute.find_flavor(name)
        if flavor is None:
            flavor = cloud.compute.create_flavor(name=name, ram=64, vcpus=1, disk=1)
        if extra_specs:
            cloud.compute.create_flavor_extra_specs(flavor, extra_specs)


def seed_network(cloud: Connection) -> None:
    """Make the network of the project that ``cloud`` is connected to."""
    project_id = cloud.current_project_id
    network = _find(cloud, "networks", NETWORK, project_id)
    if network is None:
        network = cloud.network.create_network(name=NETWORK, project_id=project_id)
    if _find(cloud, "subnets", SUBNET, project_id) is None:
        cloud.network.create_subnet(
            name=SUBNET, project_id=project_id, network_id=network.id, cidr=CIDR, ip_version=4, enable_dhcp=False
        )


def _find(cloud: Connection, collection: str, name: str, project_id: str | None) -> Any:
    return next(getattr(cloud.network, collection)(name=name, project_id=project_id), None)
