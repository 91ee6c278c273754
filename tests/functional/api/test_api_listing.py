# SPDX-License-Identifier: Apache-2.0
"""The list of pairs: pages, order, filters, summary, and its cost."""

import datetime
import itertools
import random
from urllib.parse import parse_qs, urlsplit

import pytest
from nova.conf import CONF

from nova_colo.db.listing import HEALTHS_BY_SEVERITY, SORT_KEYS, STATES_BY_SEVERITY
from tests.fixtures.statements import collected
from tests.functional.api.conftest import NOW

LIST = "/os-fault-tolerance/servers"


@pytest.fixture
def many(api):
    """Add pairs with many values, of which some are equal and some are missing, and return the API."""
    chance = random.Random(7)
    api.pairs(
        {
            "name": chance.choice(["web", "db", "Mail_1", "50%"]),
            "project_id": chance.choice(["ours", "theirs"]),
            "state": str(chance.choice(STATES_BY_SEVERITY)),
            "health": str(chance.choice(HEALTHS_BY_SEVERITY)),
            "primary_host": chance.choice(["a", "d"]),
            "secondary_host": chance.choice(["b", "c", None]),
            "reserved_host": chance.choice(["c", None]),
            "failovers": chance.randrange(3),
            "created_at": NOW + datetime.timedelta(seconds=chance.randrange(5)),
            "protected_since": chance.choice([None, NOW, NOW + datetime.timedelta(microseconds=number)]),
            "checkpoint_rate": chance.choice([None, 0.0, 21.4567891, 1 / 3, 1e4]),
            "pause_p99_ms": chance.choice([None, 14.1, 0.001, 99.9]),
        }
        for number in range(60)
    )
    return api


def walk(api, query):
    """Follow the next links and return all pairs."""
    pairs, path = [], f"{LIST}?{query}"
    for _page in range(200):
        body = api.get(path)
        pairs += body["servers"]
        if "servers_links" not in body:
            return pairs
        (link,) = body["servers_links"]
        assert link["rel"] == "next" and link["href"].startswith(
            "http://cloud/v2.1/os-fault-tolerance/servers?"
        )
        path = link["href"].removeprefix("http://cloud/v2.1")
    raise AssertionError("the pages have no end")


WIRE_VALUE = {
    "name": lambda pair: pair["name"],
    "state": lambda pair: STATES_BY_SEVERITY.index(pair["state"]),
    "health": lambda pair: HEALTHS_BY_SEVERITY.index(pair["health"]),
    "failovers": lambda pair: pair["failovers"]["total"],
    "protected_since": lambda pair: pair["protected_since"],
    "project_id": lambda pair: pair["project_id"],
    "primary_host": lambda pair: pair["primary"]["host"],
    "secondary_host": lambda pair: pair["secondary"] and pair["secondary"]["host"],
}


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("key", SORT_KEYS)
def test_pages_show_each_pair_once_in_the_asked_order(many, key, direction):
    pairs = walk(many, f"all_tenants=1&limit=7&sort_key={key}&sort_dir={direction}")
    assert sorted(pair["server_id"] for pair in pairs) == sorted(many.servers)
    if key in WIRE_VALUE:
        values = [WIRE_VALUE[key](pair) for pair in pairs]
        there = [value for value in values if value is not None]
        assert there == sorted(there, reverse=direction == "desc")
        assert values[: len(there)] == there, "those without a value come last"


def test_the_order_by_figures_is_that_of_the_figures(many):
    for key in ("checkpoint_rate", "pause_p99_ms", "created_at"):
        shown = [pair["server_id"] for pair in walk(many, f"all_tenants=1&sort_key={key}")]
        values = [many.servers[server_id][key] for server_id in shown]
        there = [value for value in values if value is not None]
        assert there == sorted(there) and values[: len(there)] == there


def test_one_page_of_all_has_no_next_link_even_when_it_is_exactly_full(api):
    api.pairs([{}, {}, {}])
    assert "servers_links" not in api.get(f"{LIST}?limit=3")
    assert "servers_links" in api.get(f"{LIST}?limit=2")


def test_a_next_link_keeps_filters_and_the_project_of_the_path(api):
    api.pairs([{"project_id": "abc0"}] * 3)
    body = api.get(f"/abc0{LIST}?limit=1&state=protected&state=error&name=web", project="abc0")
    href = urlsplit(body["servers_links"][0]["href"])
    assert href.path == "/v2.1/abc0/os-fault-tolerance/servers"
    marker = body["servers"][0]["server_id"]
    assert parse_qs(href.query) == {
        "limit": ["1"],
        "state": ["protected", "error"],
        "name": ["web"],
        "marker": [marker],
    }


def test_links_begin_with_what_the_operator_has_told_nova(api):
    CONF.set_override("compute_link_prefix", "https://public/compute", group="api")
    try:
        api.pairs([{}, {}])
        assert api.get(f"{LIST}?limit=1")["servers_links"][0]["href"].startswith(
            "https://public/compute/v2.1/os-fault-tolerance"
        )
    finally:
        CONF.clear_override("compute_link_prefix", group="api")


def test_a_page_is_never_larger_than_novas(api):
    CONF.set_override("max_limit", 2, group="api")
    try:
        api.pairs([{}, {}, {}])
        for query in ("", "?limit=3", "?limit=1000000"):
            body = api.get(LIST + query)
            assert len(body["servers"]) == 2 and "servers_links" in body
    finally:
        CONF.clear_override("max_limit", group="api")


@pytest.mark.parametrize(
    "query,expected",
    {
        "state=error": lambda row: row["state"] == "error",
        "state=error&state=degraded": lambda row: row["state"] in ("error", "degraded"),
        "health=ok&state=starting": lambda row: row["health"] == "ok" and row["state"] == "starting",
        "host=d": lambda row: "d" in (row["primary_host"], row["secondary_host"]),
        "host=c": lambda row: "c" in (row["primary_host"], row["secondary_host"]),
        "project_id=theirs": lambda row: row["project_id"] == "theirs",
        "name=mAIl": lambda row: row["name"] == "Mail_1",
        "name=%25": lambda row: row["name"] == "50%",
        "name=l_1": lambda row: row["name"] == "Mail_1",
        "name=nobody": lambda row: False,
        "name=": lambda row: True,
    }.items(),
)
def test_filters(many, query, expected):
    shown = {pair["server_id"] for pair in walk(many, f"all_tenants=1&{query}")}
    assert shown == {server_id for server_id, row in many.servers.items() if expected(row)}


def test_the_summary_is_of_everything_but_the_state_and_health_filters_and_the_page(many):
    body = many.get(f"{LIST}?project_id=theirs&state=error&health=ok&limit=1")
    theirs = [row for row in many.servers.values() if row["project_id"] == "theirs"]
    assert body["summary"]["total"] == len(theirs)
    for kind, values in (("state", STATES_BY_SEVERITY), ("health", HEALTHS_BY_SEVERITY)):
        assert body["summary"][kind] == {
            str(value): sum(row[kind] == value for row in theirs) for value in values
        }
    running = [row for row in theirs if row["secondary_host"]]
    kept = [row for row in theirs if row["secondary_host"] or row["reserved_host"]]
    assert 0 < len(running) < len(kept) < len(theirs)
    assert body["summary"]["secondaries"] == {
        "total": len(running),
        "memory_mb": sum(2 * row["memory_mb"] for row in kept),
    }


def test_a_project_sees_its_own_only(many):
    for role in ("reader", "member", "manager"):
        shown = many.get(LIST, role)["servers"]
        assert {many.servers[pair["server_id"]]["project_id"] for pair in shown} == {"ours"}
        assert {
            replica["host"] for pair in shown for replica in (pair["primary"], pair["secondary"]) if replica
        } == {None}
        assert many.get(f"{LIST}?project_id=ours", role)["servers"] == shown


@pytest.mark.parametrize(
    "query",
    [
        "all_tenants=1",
        "all_tenants=",
        "all_tenants",
        "project_id=theirs",
        "host=a",
        "sort_key=primary_host",
        "sort_key=secondary_host",
    ],
)
def test_what_only_administrators_may_ask_for(many, query):
    for role in ("reader", "member", "manager"):
        refused = many.request("GET", f"{LIST}?{query}", role)
        assert refused.status_int == 403 and "os-fault-tolerance" in refused.json_body["forbidden"]["message"]
    assert many.get(f"{LIST}?{query}")["servers"]


def test_the_marker_of_another_projects_list_is_none_of_ours(many):
    marker = next(id_ for id_, row in many.servers.items() if row["project_id"] == "theirs")
    refused = many.request("GET", f"{LIST}?marker={marker}", "reader")
    assert refused.status_int == 400 and marker in refused.json_body["badRequest"]["message"]


@pytest.mark.parametrize("marker", [False, True], ids=["first page", "a later page"])
def test_a_thousand_pairs_cost_few_statements_and_few_looks_at_the_policy(api, monkeypatch, marker):
    api.pairs([{"project_id": f"p{number % 3}"} for number in range(1000)])
    looks = itertools.count()
    authorize = api.service.enforcer.authorize
    monkeypatch.setattr(api.service.enforcer, "authorize", lambda *args: next(looks) < 0 or authorize(*args))
    query = f"all_tenants=1&marker={next(iter(api.servers))}" if marker else "all_tenants=1"
    with collected() as statements:
        body = api.get(f"{LIST}?{query}")
    assert len(body["servers"]) == 1000 - marker
    assert len(statements) == 2 + marker, statements
    # two for the list itself, nine for each of three projects
    assert next(looks) == 2 + 3 * 9
