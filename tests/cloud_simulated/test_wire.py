# SPDX-License-Identifier: Apache-2.0
"""The API on a real nova-api: ORBIT's requests, errors in Nova's format, and all else byte for byte."""

import uuid

import pytest

from nova_colo.pair.actions import ACTIONS
from nova_colo.pair.model import secondary_id
from novaclient_colo.client import make_client
from novaclient_colo.exceptions import FaultToleranceNotSupported

VOLATILE = ("date", "x-compute-request-id", "x-openstack-request-id", "content-length")


@pytest.mark.parametrize("with_project", [False, True], ids=["/v2.1/servers", "/v2.1/{project}/servers"])
def test_the_request_of_orbits_page(cloud, pair, with_project):
    prefix = f"/{cloud.project_id('admin')}" if with_project else ""
    response = cloud.request("POST", f"{prefix}/servers/{pair['server_id']}/action", json={"failover": None})
    assert (response.status_code, response.text) == (202, "")
    assert response.headers["OpenStack-API-Version"] == "compute 2.1"
    assert cloud.failed_over("web-1", pair)["primary"]["host"] == pair["secondary"]["host"]


def test_servers_say_whether_they_are_fault_tolerant(cloud, pair):
    servers = cloud.request("GET", "/servers/detail?all_tenants=1").json()["servers"]
    statuses = {server["name"]: server["OS-EXT-FT:ft_status"] for server in servers}
    assert statuses["web-1"] == "primary"
    assert statuses["plain-1"] == "not_ft"


def test_the_secondary_is_a_server_to_those_who_may_see_hosts(cloud, pair):
    shown = cloud.request("GET", f"/servers/{pair['server_id']}").json()["server"]
    (secondary,) = shown["OS-EXT-FT:ft_relations"]["servers"]
    assert secondary["id"] == secondary_id(pair["server_id"])
    response = cloud.request("GET", f"/servers/{secondary['id']}")
    assert response.json()["server"]["OS-EXT-FT:ft_status"] == "secondary"
    assert response.json()["server"]["OS-EXT-SRV-ATTR:host"] == pair["secondary"]["host"]
    for user in ("demo", "viewer"):
        assert cloud.request("GET", f"/servers/{secondary['id']}", user).status_code == 404
        shown = cloud.request("GET", f"/servers/{pair['server_id']}", user).json()["server"]
        assert shown["OS-EXT-FT:ft_relations"] == {"servers": []}


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_on_the_secondary_means_its_pair(cloud, pair, action):
    secondary = secondary_id(pair["server_id"])
    for user in ("manager", "outsider"):
        refused = cloud.act(secondary, {action: None}, user)
        assert refused.status_code == 404 and secondary in message(refused, "itemNotFound")
    # an invalid body for all of them: it is read as an action of the pair, and nothing is done
    refused = cloud.act(secondary, {action: "this"})
    assert refused.status_code == 400 and action in message(refused, "badRequest")


def test_a_failover_of_the_secondary_fails_its_pair_over(cloud, pair):
    secondary = secondary_id(pair["server_id"])
    assert cloud.act(secondary, {"failover": None}).status_code == 202
    assert cloud.failed_over("web-1", pair)["primary"]["host"] == pair["secondary"]["host"]


@pytest.mark.parametrize("user", ["demo", "viewer", "manager"])
def test_tenants_see_no_host_names(cloud, pair, user):
    response = cloud.request("GET", "/os-fault-tolerance/servers", user)
    assert response.json()["servers"]
    assert "compute-" not in response.text
    assert (
        "compute-" not in cloud.request("GET", f"/servers/{pair['server_id']}/os-fault-tolerance", user).text
    )
    assert cloud.request("GET", "/os-fault-tolerance/servers?all_tenants=1", user).status_code == 403


def test_discovery(cloud):
    discovery = cloud.request("GET", "/os-fault-tolerance").json()["fault_tolerance"]
    assert discovery["actions"] == list(ACTIONS) and discovery["modes"] == ["colo", "checkpoint", "hybrid"]
    assert discovery["simulated"] and discovery["can_see_hosts"]
    assert not cloud.request("GET", "/os-fault-tolerance", "demo").json()["fault_tolerance"]["can_see_hosts"]


def message(response, name):
    body = response.json()
    assert list(body) == [name] and body[name]["code"] == response.status_code
    return body[name]["message"]


def test_refusals_say_why_and_what_to_do(cloud, pair):
    plain = cloud.server("plain-1")["id"]
    refused = cloud.act(plain, {"failover": None})
    assert refused.status_code == 400 and "ft:enabled" in message(refused, "badRequest")
    refused = cloud.act(str(uuid.uuid4()), {"failover": None})
    assert refused.status_code == 404 and "could not be found" in message(refused, "itemNotFound")
    for user in ("viewer", "demo"):
        refused = cloud.act(pair["server_id"], {"failover": None}, user)
        assert refused.status_code == 403 and "failover" in message(refused, "forbidden")
    refused = cloud.act(pair["server_id"], {"failover": {"force": True}}, "manager")
    assert refused.status_code == 403 and "force" in message(refused, "forbidden")
    assert cloud.pairs()["web-1"]["epoch"] == pair["epoch"]


@pytest.mark.parametrize("body", ["yes", {"force": "yes"}, {"force": True, "host": "compute-b"}, []])
def test_a_wrong_body_is_refused_by_name(cloud, pair, body):
    refused = cloud.act(pair["server_id"], {"failover": body})
    assert refused.status_code == 400 and "failover" in message(refused, "badRequest")
    assert cloud.pairs()["web-1"]["state"] == "protected"


def test_a_manager_of_the_project_may_fail_over(cloud, pair):
    assert cloud.act(pair["server_id"], {"failover": None}, "manager").status_code == 202
    cloud.failed_over("web-1", pair)


def test_an_unprotected_server_cannot_fail_over(cloud, pair):
    assert cloud.act(pair["server_id"], {"failover": None}).status_code == 202
    refused = cloud.act(pair["server_id"], {"failover": None})
    assert refused.status_code == 409 and "Wait until" in message(refused, "conflictingRequest")
    cloud.failed_over("web-1", pair)


def _headers(response):
    return {name: value for name, value in response.headers.items() if name.lower() not in VOLATILE}


@pytest.mark.parametrize("version", ["compute 2.1", "compute 2.67", "compute latest"])
def test_only_our_attributes_are_added_to_a_server(cloud, pair, stock_url, version):
    headers = {"OpenStack-API-Version": version}
    path = f"/servers/{pair['server_id']}"
    ours = cloud.request("GET", path, headers=headers)
    theirs = cloud.request("GET", path, url=stock_url, headers=headers)
    server = ours.json()["server"]
    added = {name for name in server if name.startswith("OS-EXT-FT:")}
    assert added == {"OS-EXT-FT:ft_status", "OS-EXT-FT:ft_relations"}
    assert set(server) - added == set(theirs.json()["server"])
    assert _headers(ours) == _headers(theirs)


def test_a_cloud_without_the_filter_is_told_in_one_line(cloud, pair, stock_url):
    for command in (("failover", pair["server_id"]), ("ft-list",)):
        done = cloud.run("nova", "--os-endpoint-override", stock_url, *command)
        lines = [line for line in done.stderr.splitlines() if "deprecated" not in line]
        assert done.returncode == 1
        assert len(lines) == 1 and "has no fault tolerance" in lines[0] and "Traceback" not in done.stderr
    client = make_client(cloud.session("admin"), endpoint_override=stock_url)
    with pytest.raises(FaultToleranceNotSupported):
        client.fault_tolerance.list()
    assert cloud.pairs()["web-1"]["epoch"] == pair["epoch"]
