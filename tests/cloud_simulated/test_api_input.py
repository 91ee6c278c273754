# SPDX-License-Identifier: Apache-2.0
"""Invalid input is refused with a message that names it, and changes nothing."""

import uuid

import pytest

from tests.fixtures.api_description import check

LIST = "/os-fault-tolerance/servers"
SERVER = "/servers/{ft}/os-fault-tolerance"

#: path and query -> status, and what the message names
QUERIES = {
    f"{LIST}?limit=abc": (400, "limit"),
    f"{LIST}?limit=-1": (400, "limit"),
    f"{LIST}?limit=0": (400, "limit"),
    f"{LIST}?limit=1.5": (400, "limit"),
    f"{LIST}?limit=+1": (400, "limit"),
    f"{LIST}?limit=1&limit=2": (400, "limit"),
    f"{LIST}?marker=nobody": (400, "nobody"),
    f"{LIST}?marker=": (400, "Marker"),
    f"{LIST}?marker={uuid.uuid4()}": (400, "Marker"),
    f"{LIST}?sort_key=flavor": (400, "sort_key"),
    f"{LIST}?sort_dir=up": (400, "sort_dir"),
    f"{LIST}?state=broken": (400, "state"),
    f"{LIST}?state=protected&state=": (400, "state"),
    f"{LIST}?health=fine": (400, "health"),
    f"{LIST}?host=": (400, "host"),
    f"{LIST}?host=a%20b": (400, "host"),
    f"{LIST}?project_id=": (400, "project_id"),
    f"{LIST}?all_tenants=maybe": (400, "all_tenants"),
    f"{LIST}?colour=red": (400, "colour"),
    f"{LIST}?name={'x' * 256}": (400, "name"),
    f"{LIST}?name=%ff": (400, "UTF-8"),
    "/os-fault-tolerance?verbose=1": (400, "verbose"),
    "/os-fault-tolerance/hosts?host=compute-a": (400, "host"),
    f"{SERVER}?all_tenants=1": (400, "all_tenants"),
    f"{SERVER}/checkpoints?since=yesterday": (400, "since"),
    f"{SERVER}/checkpoints?until=2026-13-01": (400, "until"),
    f"{SERVER}/checkpoints?since=": (400, "since"),
    f"{SERVER}/checkpoints?since=2026-02-02&until=2026-02-01": (400, "since"),
    f"{SERVER}/checkpoints?since=9999-12-31T23:59:59-12:00": (400, "since"),
    f"{SERVER}/checkpoints?step=5": (400, "step"),
    f"{SERVER}/events?limit=x": (400, "limit"),
    f"{SERVER}/events?marker=x": (400, "marker"),
    f"{SERVER}/events?marker=0": (400, "marker"),
    f"{SERVER}/events?marker=99999999999999999999": (400, "marker"),
    "/servers/{plain}/os-fault-tolerance": (400, "ft:enabled"),
    "/servers/{plain}/os-fault-tolerance/checkpoints": (400, "ft:enabled"),
    "/servers/{plain}/os-fault-tolerance/events": (400, "ft:enabled"),
    "/servers/{unknown}/os-fault-tolerance": (404, "could not be found"),
    "/servers/{unknown}/os-fault-tolerance/checkpoints": (404, "could not be found"),
    "/servers/{unknown}/os-fault-tolerance/events": (404, "could not be found"),
    "/servers/nobody/os-fault-tolerance": (404, "nobody"),
    "/servers/detail/os-fault-tolerance": (404, "detail"),
}

#: body of an action -> what the message names
BODIES = {
    '{"failover": "yes"}': "failover",
    '{"failover": []}': "failover",
    '{"failover": {"force": "yes"}}': "force",
    '{"failover": {"force": true, "host": "compute-b"}}': "host",
    '{"ft-protect": {}}': "ft-protect",
    '{"ft-unprotect": true}': "ft-unprotect",
    '{"ft-suspend": {"for": 5}}': "ft-suspend",
    '{"ft-resume": ""}': "ft-resume",
    '{"ft-test-failover": {"return": 1}}': "return",
    '{"ft-test-failover": {"force": true}}': "force",
    '{"ft-migrate-secondary": null}': "ft-migrate-secondary",
    '{"ft-migrate-secondary": {}}': "host",
    '{"ft-migrate-secondary": {"host": ""}}': "host",
    '{"ft-migrate-secondary": {"host": "no such host"}}': "host",
    '{"ft-migrate-secondary": {"host": "compute-z"}}': "compute-z",
    '{"ft-set-mode": null}': "ft-set-mode",
    '{"ft-set-mode": {"mode": "fast"}}': "mode",
    '{"ft-set-mode": {"mode": "colo", "interval": 5}}': "interval",
}


@pytest.fixture(scope="module")
def ids(cloud):
    return {
        "ft": cloud.protected("web-1")["server_id"],
        "plain": cloud.server("plain-1")["id"],
        "unknown": str(uuid.uuid4()),
    }


@pytest.mark.parametrize("path,status,named", [(path, *expected) for path, expected in QUERIES.items()])
def test_a_wrong_query_or_path(cloud, ids, path, status, named):
    refused = check(cloud.request("GET", path.format(**ids)))
    assert refused.status_code == status, refused.text
    (fault,) = refused.json().values()
    assert fault["code"] == status and named in fault["message"]


@pytest.mark.parametrize("body,named", BODIES.items())
def test_a_wrong_body_of_an_action(cloud, ids, body, named):
    before = _state_of_pairs(cloud)
    headers = {"Content-Type": "application/json"}
    refused = check(cloud.request("POST", f"/servers/{ids['ft']}/action", data=body, headers=headers))
    assert refused.status_code == 400 and named in refused.json()["badRequest"]["message"]
    assert _state_of_pairs(cloud) == before


@pytest.mark.parametrize(
    "action", ["failover", "ft-protect", "ft-unprotect", "ft-suspend", "ft-resume", "ft-test-failover"]
)
@pytest.mark.parametrize("server,status", [("plain", 400), ("unknown", 404)])
def test_what_is_no_ft_server_has_no_such_actions(cloud, ids, action, server, status):
    refused = check(cloud.act(ids[server], {action: None}))
    assert refused.status_code == status, refused.text


def test_a_secondary_is_not_moved_to_where_the_pair_is(cloud, ids, pair):
    for replica in ("primary", "secondary"):
        refused = check(cloud.act(ids["ft"], {"ft-migrate-secondary": {"host": pair[replica]["host"]}}))
        assert (
            refused.status_code == 409
            and pair[replica]["host"] in refused.json()["conflictingRequest"]["message"]
        )


@pytest.mark.parametrize("version,status", [("9.99", 406), ("two", 400)])
def test_a_microversion_that_is_none(cloud, version, status):
    refused = check(cloud.request("GET", LIST, headers={"OpenStack-API-Version": f"compute {version}"}))
    assert refused.status_code == status and version in refused.text


def test_another_project_in_the_path(cloud):
    refused = check(cloud.request("GET", f"/{cloud.project_id('outsider')}{LIST}", "demo"))
    assert refused.status_code == 400 and "project_id" in refused.json()["badRequest"]["message"]


def test_a_locked_server(cloud, ids):
    assert cloud.act(ids["ft"], {"lock": None}).status_code == 202
    try:
        before = _state_of_pairs(cloud)
        for body in ({"failover": None}, {"ft-suspend": None}, {"ft-set-mode": {"mode": "checkpoint"}}):
            refused = check(cloud.act(ids["ft"], body, "manager"))
            assert refused.status_code == 409 and "locked" in refused.json()["conflictingRequest"]["message"]
        assert _state_of_pairs(cloud) == before
    finally:
        assert cloud.act(ids["ft"], {"unlock": None}).status_code == 202


def _state_of_pairs(cloud):
    pair = cloud.pairs()["web-1"]
    names = (
        "state",
        "wanted",
        "epoch",
        "primary",
        "secondary",
        "mode_policy",
        "mode",
        "failovers",
        "actions",
    )
    return {name: pair[name] for name in names}
