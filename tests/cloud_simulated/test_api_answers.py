# SPDX-License-Identifier: Apache-2.0
"""Responses of a real cloud match the API description."""

import datetime
import re

import pytest

from tests.fixtures.api_description import check
from tests.fixtures.cloud import wait_for

LIST = "/os-fault-tolerance/servers"


@pytest.mark.parametrize("user", ["admin", "manager", "viewer", "outsider"])
@pytest.mark.parametrize("prefix", ["", "/{project}"])
@pytest.mark.parametrize("end", ["", "/"])
def test_every_reading_request_with_and_without_project_and_slash(cloud, pair, user, prefix, end):
    prefix = prefix.format(project=cloud.project_id(user))
    server = f"/servers/{pair['server_id']}/os-fault-tolerance"
    paths = (
        "/os-fault-tolerance",
        LIST,
        "/os-fault-tolerance/hosts",
        server,
        f"{server}/checkpoints",
        f"{server}/events",
    )
    for path in paths:
        answer = check(cloud.request("GET", prefix + path + end, user))
        assert answer.headers["OpenStack-API-Version"] == "compute 2.1"
        assert "OpenStack-API-Version" in answer.headers["Vary"]
        if answer.status_code != 200:
            assert (user, path) in {("outsider", path), (user, "/os-fault-tolerance/hosts")}


@pytest.mark.parametrize("version", ["2.1", "2.67", "latest"])
def test_a_microversion_is_said_back(cloud, version):
    answer = check(cloud.request("GET", LIST, headers={"OpenStack-API-Version": f"compute {version}"}))
    version_header = answer.headers["OpenStack-API-Version"]
    assert version_header == f"compute {version}" or (version == "latest" and version_header != "compute 2.1")
    assert answer.headers["X-OpenStack-Nova-API-Version"] == version_header.removeprefix("compute ")


def test_the_legacy_endpoint_has_no_microversions(cloud, pair):
    url = cloud.compute.replace("/v2.1", "/v2")
    answer = cloud.request("GET", f"/{cloud.project_id('admin')}{LIST}?all_tenants=1", url=url)
    assert answer.status_code == 200 and answer.json()["servers"]
    assert "OpenStack-API-Version" not in answer.headers


@pytest.mark.parametrize(
    "key", ["name", "health", "protected_since", "checkpoint_rate", "pause_p99_ms", "secondary_host"]
)
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_pages_follow_each_other_on_the_real_database(cloud, pair, key, direction):
    def names():
        in_order, url = [], f"{cloud.compute}{LIST}?all_tenants=1&limit=1&sort_key={key}&sort_dir={direction}"
        while url:
            page = check(cloud.request("GET", "", url=url)).json()
            in_order += [found["name"] for found in page["servers"]]
            assert page["summary"]["total"] == sum(page["summary"]["state"].values()) >= 2
            url = page["servers_links"][0]["href"] if "servers_links" in page else None
        return in_order

    def names_without_change_meanwhile():
        before, in_order = cloud.pairs(), names()
        return in_order if cloud.pairs() == before else None

    # figures change the order while pages are read
    assert sorted(
        wait_for("the order did not change meanwhile", 30, names_without_change_meanwhile)
    ) == sorted(cloud.pairs())


def test_discovery_says_what_this_caller_may_ask_for(cloud, pair):
    discovered = {
        user: check(cloud.request("GET", "/os-fault-tolerance", user)).json()["fault_tolerance"]
        for user in ("admin", "demo")
    }
    assert "host" in discovered["admin"]["filters"] and "host" not in discovered["demo"]["filters"]
    values = {"state": "protected", "health": "ok", "host": "compute-a", "name": "web", "all_tenants": "0"}
    for user, discovery in discovered.items():
        values["project_id"] = cloud.project_id(user)
        for name in discovery["filters"]:
            assert check(cloud.request("GET", f"{LIST}?{name}={values[name]}", user)).status_code == 200
        for key in discovery["sort_keys"]:
            assert check(cloud.request("GET", f"{LIST}?sort_key={key}", user)).status_code == 200


def test_hosts_are_those_of_the_lab(cloud, pair, lab):
    hosts = check(cloud.request("GET", "/os-fault-tolerance/hosts")).json()["hosts"]
    assert [host["host"] for host in hosts] == sorted(lab.hosts())
    assert {host["agent"]["state"] for host in hosts} == {"up"}
    assert sum(host["primaries"] for host in hosts) == len(cloud.pairs())
    carrying = {host["host"] for host in hosts if host["secondaries"]}
    assert pair["secondary"]["host"] in carrying


def test_checkpoints_are_counted_in_their_history(cloud, pair):
    path = f"/servers/{pair['server_id']}/os-fault-tolerance/checkpoints"
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=30)
    query = f"?since={since:%Y-%m-%dT%H:%M:%SZ}"

    def total():
        history = check(cloud.request("GET", path + query, "viewer")).json()["checkpoints"]
        return sum(
            bucket["mismatch"] + bucket["periodic"] + bucket["forced"] for bucket in history["buckets"]
        )

    before = total()
    wait_for("more checkpoints in the history", 120, lambda: total() > before)


def test_a_failover_is_among_the_events_with_the_request_that_asked_for_it(cloud, pair):
    asked = check(cloud.act(pair["server_id"], {"failover": None}, "manager"))
    cloud.failed_over("web-1", pair)
    path = f"/servers/{pair['server_id']}/os-fault-tolerance/events"
    events = check(cloud.request("GET", path, "manager")).json()["events"]
    ours = [event for event in events if event["request_id"] == asked.headers["X-OpenStack-Request-ID"]]
    assert "failover" in {event["kind"] for event in ours}
    assert not re.search(r"compute-\w", str(events))
    assert "compute-" in cloud.request("GET", path).text
