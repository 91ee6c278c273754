# SPDX-License-Identifier: Apache-2.0
"""Nova's own actions on FT servers of a whole cloud: refusals, and creation of invalid servers."""

import pytest

from tests.fixtures.cloud import wait_for

VERSION = {"OpenStack-API-Version": "compute 2.67"}
REFUSED = {
    "pause": None,
    "suspend": None,
    "resize": {"flavorRef": "1"},
    "createImage": {"name": "snap"},
    "rescue": None,
    "evacuate": {},
    "migrate": None,
}


def message(response, code, name):
    assert response.status_code == code, response.text
    return response.json()[name]["message"]


def test_what_is_refused_does_no_harm(cloud, pair):
    for name, arguments in REFUSED.items():
        refused = cloud.act(pair["server_id"], {name: arguments})
        text = message(refused, 409, "conflictingRequest")
        assert "protect" in text or "Fail the server over" in text
    attach = cloud.request(
        "POST", f"/servers/{pair['server_id']}/os-interface", json={"interfaceAttachment": {}}
    )
    assert "Unprotect the server first" in message(attach, 409, "conflictingRequest")
    now = cloud.pairs()["web-1"]
    assert (now["state"], now["epoch"], now["secondary"]) == ("protected", pair["epoch"], pair["secondary"])


def test_a_command_says_the_remedy(cloud, pair):
    done = cloud.run("openstack", "server", "pause", pair["server_id"])
    assert done.returncode != 0
    assert "unprotect it first" in done.stderr and "Traceback" not in done.stderr


@pytest.fixture
def direct_port(cloud):
    """Return a port whose packets would bypass the hypervisor."""
    network = next(cloud.sdk.network.networks())
    port = cloud.sdk.network.create_port(
        network_id=network.id, binding_vnic_type="direct", name="past-the-hypervisor"
    )
    yield port.id
    cloud.sdk.network.delete_port(port)


def test_a_create_is_told_everything_at_once(cloud, direct_port):
    body = {
        "name": "never",
        "flavorRef": cloud.sdk.compute.find_flavor("ft.nano", ignore_missing=False).id,
        "imageRef": "",
        "networks": [{"port": direct_port}],
        "block_device_mapping_v2": [
            {"boot_index": 0, "uuid": direct_port, "source_type": "volume", "destination_type": "volume"}
        ],
    }
    refused = cloud.request("POST", "/servers", headers=VERSION, json={"server": body})
    said = message(refused, 400, "badRequest")
    assert "It boots from volume" in said
    assert f"Port {direct_port} is of the type direct" in said
    assert "never" not in [
        server["name"] for server in cloud.request("GET", "/servers?all_tenants=1").json()["servers"]
    ]


def test_usage_counts_the_secondary(cloud, pair):
    def counted():
        answer = cloud.request(
            "GET", f"/os-simple-tenant-usage?detailed=1&start={pair['protected_since'].rstrip('Z')}"
        )
        found = {
            server["name"]: server
            for usage in answer.json()["tenant_usages"]
            for server in usage["server_usages"]
        }
        assert found["plain-1"]["ft_secondary_usage"] == []
        return found["web-1"]["ft_secondary_usage"]

    entries = wait_for("the secondary of web-1 is counted", 60, counted)
    assert all(entry["hours"] > 0 and entry["instance_id"] != pair["server_id"] for entry in entries)
