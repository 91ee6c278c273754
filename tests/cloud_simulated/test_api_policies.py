# SPDX-License-Identifier: Apache-2.0
"""The policies of docs/policies.md, for each role."""

import json
import pathlib
import re

import pytest
import requests

from lab.core.patience import patient
from nova_colo.pair.model import secondary_id
from tests.fixtures.cloud import wait_for

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
WHO = ("none", "bad", "reader", "member", "manager", "admin", "other")
USERS = {"reader": "viewer", "member": "demo", "manager": "manager", "admin": "admin", "other": "outsider"}
REFUSED = {"no": 403, "hidden": 404, "401": 401}


def table():
    """Return the table's rows as (method, path, body), role and entry."""
    rows = re.findall(
        r"^\| `(GET|POST) (\S+)(?: (\{.*\}))?` \|(.*)\|$", (DOCS / "policies.md").read_text(), re.MULTILINE
    )
    assert len(rows) > 20
    for method, path, body, cells in rows:
        entries = [cell.strip() for cell in cells.split("|")]
        for who, cell in zip(WHO, entries, strict=True):
            yield pytest.param(
                method,
                path,
                json.loads(body) if body else None,
                who,
                cell,
                id=f"{method} {path} {body} {who}",
            )


CASES = list(table())
REFUSALS = [case for case in CASES if case.values[-1] != "yes"]
ALLOWED = [case for case in CASES if case.values[-1] == "yes"]


def send(cloud, pair, method, path, body, who):
    path = path.format(server=pair["server_id"], secondary=secondary_id(pair["server_id"]))
    if who in USERS:
        return cloud.request(method, path, USERS[who], json=body)
    headers = {} if who == "none" else {"X-Auth-Token": "none-of-keystones"}
    return requests.request(method, cloud.compute + path, headers=headers, json=body, timeout=patient(60))


def traces(cloud, pair):
    """Return the records that a successful request changes."""
    events = cloud.request("GET", f"/servers/{pair['server_id']}/os-fault-tolerance/events?limit=1").json()[
        "events"
    ]
    now = cloud.pairs()[pair["name"]]
    unchanged = ("epoch", "primary", "secondary", "state", "wanted", "mode_policy", "failovers")
    return events, {name: now[name] for name in unchanged}


@pytest.fixture(scope="module")
def settled(cloud):
    """Return a pair without operations, and its records, for the time of all refused requests."""
    pair = cloud.protected("web-1")
    yield pair, traces(cloud, pair)


@pytest.mark.parametrize("method,path,body,who,said", REFUSALS)
def test_refused_and_nothing_changed(cloud, settled, method, path, body, who, said):
    pair, before = settled
    response = send(cloud, pair, method, path, body, who)
    assert response.status_code == REFUSED[said], response.text
    if said == "no":
        assert "os_compute_api:os-fault-tolerance" in response.json()["forbidden"]["message"]
    assert traces(cloud, pair) == before


@pytest.mark.parametrize("method,path,body,who,said", ALLOWED)
def test_allowed(cloud, method, path, body, who, said):
    pair = cloud.pairs()["web-1"]
    response = send(cloud, pair, method, path, body, who)
    # whether the state allows it is no matter of policy: the pair may be busy with an earlier request
    assert response.status_code in ((200,) if method == "GET" else (202, 409)), response.text


def test_afterwards_the_pair_is_as_it_was(cloud):
    """Wait, for a bounded time, until the pair has recovered from the allowed requests."""
    server_id = cloud.pairs()["web-1"]["server_id"]

    def ask_until(body, wanted):
        def look():
            cloud.act(server_id, body)
            return wanted(cloud.pairs()["web-1"])

        wait_for(f"{body} is taken up", 120, look)

    ask_until({"ft-resume": None}, lambda pair: pair["wanted"] != "suspended")
    ask_until({"ft-protect": None}, lambda pair: pair["wanted"] == "protected")
    cloud.protected("web-1")
