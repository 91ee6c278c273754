# SPDX-License-Identifier: Apache-2.0
"""Overrides in an operator's policy file."""

import pytest


@pytest.fixture
def server(api):
    return api.pair()


def test_a_rule_that_the_operator_has_changed_holds_at_once(api, server, policy_file):
    assert api.act(server, {"failover": None}, "member").status_int == 403
    policy_file.write_text('"os_compute_api:os-fault-tolerance:failover": "rule:project_member_or_admin"\n')
    shown = api.get(f"/servers/{server}/os-fault-tolerance", "member")["fault_tolerance"]
    assert {action["name"]: action["allowed"] for action in shown["actions"]}["failover"]
    assert api.act(server, {"failover": None}, "member").status_int == 202


def test_who_may_see_hosts_sees_them_everywhere_in_its_own_project(api, server, policy_file):
    name = '"os_compute_api:os-fault-tolerance:hosts"'
    policy_file.write_text(
        f'{name}: "rule:context_is_admin or (role:manager and project_id:%(project_id)s)"\n'
    )
    assert api.get("/os-fault-tolerance", "manager")["fault_tolerance"]["can_see_hosts"]
    (pair,) = api.get("/os-fault-tolerance/servers?host=a&sort_key=primary_host", "manager")["servers"]
    assert pair["primary"]["host"] == "a"
    assert api.request("GET", "/os-fault-tolerance/servers?all_tenants=1&host=a", "manager").status_int == 403


def test_who_may_see_all_projects_but_hosts_of_its_own_only_cannot_look_for_hosts_in_all(
    api, server, policy_file
):
    policy_file.write_text(
        '"os_compute_api:os-fault-tolerance:index:all_tenants": "role:manager"\n'
        '"os_compute_api:os-fault-tolerance:hosts": "role:manager and project_id:%(project_id)s"\n'
    )
    api.pair(project_id="theirs", primary_host="secret")
    shown = api.get("/os-fault-tolerance/servers?all_tenants=1", "manager")["servers"]
    assert {pair["project_id"]: pair["primary"]["host"] for pair in shown} == {"ours": "a", "theirs": None}
    for query in (
        "all_tenants=1&host=secret",
        "project_id=theirs&host=secret",
        "all_tenants=1&sort_key=primary_host",
    ):
        assert api.request("GET", f"/os-fault-tolerance/servers?{query}", "manager").status_int == 403


def test_who_is_an_administrator_is_decided_by_nova(api, server):
    for role, is_admin, expected in (("admin", False, 403), ("cloud_admin", True, 200)):
        for path in ("/os-fault-tolerance/hosts", "/os-fault-tolerance/servers?all_tenants=1"):
            assert api.request("GET", path, role, is_admin=is_admin).status_int == expected


def test_a_token_without_a_project_lists_all_projects_or_nothing(api, server, policy_file):
    policy_file.write_text('"os_compute_api:os-fault-tolerance:index": "@"\n')
    assert api.request("GET", "/os-fault-tolerance/servers", "reader", project=None).status_int == 403
    assert len(api.get("/os-fault-tolerance/servers", "admin", project=None)["servers"]) == 1
