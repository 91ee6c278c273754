# SPDX-License-Identifier: Apache-2.0
"""The Python client against a fake cloud."""

import pytest
from keystoneauth1 import session, token_endpoint
from keystoneauth1.identity import v3
from novaclient import client as nova_client
from novaclient import exceptions

from novaclient_colo.client import make_client
from novaclient_colo.exceptions import FaultToleranceNotSupported, NoHealthySecondary, NotFaultTolerant
from novaclient_colo.fault_tolerance import FaultToleranceManager
from tests.unit.novaclient_colo.fake_cloud import FakeCloud, make_pair


def login(cloud: FakeCloud, user: str = "admin") -> session.Session:
    env = cloud.env(user)
    return session.Session(
        v3.Password(
            env["OS_AUTH_URL"],
            username=user,
            password=env["OS_PASSWORD"],
            project_name=user,
            user_domain_id="default",
            project_domain_id="default",
        )
    )


@pytest.fixture
def manager(cloud: FakeCloud) -> FaultToleranceManager:
    return make_client(login(cloud)).fault_tolerance


@pytest.fixture
def pair(cloud: FakeCloud) -> dict:
    return next(iter(cloud.pairs.values()))


def test_novaclient_finds_the_extension_by_its_entry_point(cloud, pair):
    client = nova_client.Client(
        "2.1", session=login(cloud), extensions=nova_client.discover_extensions("2.1")
    )
    assert type(client.fault_tolerance) is FaultToleranceManager
    assert client.fault_tolerance.get(pair["server_id"]).name == "web-1"


def test_discovery_says_what_the_cloud_can_do(manager):
    assert manager.discovery()["actions"] == ["failover"]


def test_list_gives_pairs_of_the_callers_project(cloud, manager):
    assert manager.list() == []
    assert [pair.name for pair in manager.list(all_tenants=True)] == ["web-1"]
    assert make_client(login(cloud, "demo")).fault_tolerance.list()[0].primary_host == "compute-a"


def test_list_of_all_projects_is_refused_to_a_member(cloud):
    with pytest.raises(exceptions.Forbidden):
        make_client(login(cloud, "demo")).fault_tolerance.list(all_tenants=True)


def test_a_pair_has_the_members_of_the_wire(manager, pair):
    server = manager.get(pair["server_id"])
    assert server.to_dict() == pair
    assert (server.id, server.primary_host, server.secondary_host) == (
        pair["server_id"],
        "compute-a",
        "compute-b",
    )
    assert server.permission("failover") == (True, "")
    assert not server.permission("unheard of").allowed


def test_hosts_are_none_where_the_caller_may_not_see_them(cloud, manager, pair):
    cloud.can_see_hosts = False
    server = manager.get(pair["server_id"])
    assert (server.primary_host, server.secondary_host) == (None, None)
    assert server.primary["since"]


def test_a_pair_without_a_secondary_has_no_secondary_host(manager, pair):
    pair["secondary"] = None
    assert manager.get(pair["server_id"]).secondary_host is None


def test_the_most_urgent_pair_sorts_first(cloud, manager):
    cloud.pairs.clear()
    for name, state, health in [
        ("fine", "protected", "ok"),
        ("broken", "error", "critical"),
        ("slow", "protected", "warning"),
        ("alone", "degraded", "warning"),
        ("newer", "invented-later", "ok"),
    ]:
        pair = make_pair(name, state=state, health=health)
        cloud.pairs[pair["server_id"]] = pair
    ordered = sorted(manager.list(all_tenants=True), key=lambda pair: pair.urgency)
    assert [pair.name for pair in ordered] == ["broken", "alone", "slow", "newer", "fine"]


@pytest.mark.parametrize(("force", "body"), [(False, None), (True, {"force": True})])
def test_failover_sends_the_wire_formats_body(cloud, manager, pair, force, body):
    manager.failover(pair["server_id"], force=force)
    assert cloud.bodies[-1] == {"failover": body}
    assert pair["server_id"] in cloud.requests[-1][1]
    assert manager.get(pair["server_id"]).state == "failing_over"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, exceptions.BadRequest),
        (403, exceptions.Forbidden),
        (404, exceptions.NotFound),
        (409, exceptions.Conflict),
        (500, exceptions.ClientException),
    ],
)
def test_errors_carry_the_apis_message(cloud, manager, pair, status, error):
    cloud.failures["POST", "/action"] = (status, "Wait until the server is protected.")
    with pytest.raises(error) as caught:
        manager.failover(pair["server_id"])
    assert caught.value.message == "Wait until the server is protected."
    assert not isinstance(caught.value, FaultToleranceNotSupported)


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "not_fault_tolerant", NotFaultTolerant),
        (409, "no_healthy_secondary", NoHealthySecondary),
        (409, "wait_failover", exceptions.Conflict),
        (500, "not_fault_tolerant", exceptions.ClientException),
    ],
)
def test_errors_are_known_by_the_code_of_their_reason(cloud, manager, pair, status, code, error):
    cloud.failures["POST", "/action"] = (status, "Whatever it says.", code)
    with pytest.raises(error) as caught:
        manager.failover(pair["server_id"])
    assert isinstance(caught.value, NotFaultTolerant | NoHealthySecondary) == (
        error in (NotFaultTolerant, NoHealthySecondary)
    )
    assert caught.value.details == {"code": code, "params": {}}


def test_an_unknown_server_is_not_a_cloud_without_fault_tolerance(manager):
    with pytest.raises(exceptions.NotFound) as caught:
        manager.get("00000000-0000-0000-0000-000000000000")
    assert not isinstance(caught.value, FaultToleranceNotSupported)


@pytest.mark.parametrize("call", ["discovery", "list", "get", "failover"])
def test_stock_nova_is_told_apart(cloud, manager, pair, call):
    cloud.filter_installed = False
    arguments = [pair["server_id"]] if call in ("get", "failover") else []
    with pytest.raises(FaultToleranceNotSupported) as caught:
        getattr(manager, call)(*arguments)
    assert caught.value.endpoint == cloud.compute_url
    assert str(caught.value) == (
        "This cloud's compute API has no fault tolerance: "
        f"the nova-colo API filter is not installed at {cloud.compute_url}."
    )


def test_a_token_and_an_endpoint_are_enough(cloud, pair):
    token = login(cloud).get_token()
    plain = session.Session(token_endpoint.Token(cloud.compute_url, token))
    assert (
        make_client(plain, endpoint_override=cloud.compute_url).fault_tolerance.get(pair["server_id"]).epoch
        == 3
    )
