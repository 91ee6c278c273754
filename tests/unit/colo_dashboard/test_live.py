# SPDX-License-Identifier: Apache-2.0
"""The data for the list's script: figures as the page shows them, and which rows have changed."""

import re

import pytest

from tests.unit.colo_dashboard.pages import INDEX, PAGE, PROJECT_INDEX, add, called, row
from tests.unit.novaclient_colo.fake_cloud import PROJECTS, seconds_ago


def live(client, index=INDEX, **query):
    return client.get(f"{index}live/", query)


def digest_on(page, pair):
    return re.search(r'data-ft-digest="(\w+)"', row(page, pair))[1]


def test_the_page_names_what_its_script_asks_with_its_own_filters(cloud, admin):
    add(cloud)
    page = admin.get(INDEX, {"state": "protected", "sort": "name"}).content.decode()
    assert f'data-live="{INDEX}live/?state=protected&amp;sort=name"' in page


@pytest.mark.parametrize(("asked", "seconds"), [(5, 5), (30, 30), (0, 1)])
def test_how_often_it_asks_is_a_setting(cloud, admin, settings, asked, seconds):
    settings.FAULT_TOLERANCE_POLL_INTERVAL = asked
    assert f'data-live-every="{seconds}"' in admin.get(INDEX).content.decode()


def test_figures_are_told_as_they_are_shown(cloud, admin):
    pair = add(cloud)
    page = admin.get(INDEX)
    (row_data,) = live(admin).json()["rows"]
    assert row_data["id"] == pair["server_id"]
    detail = admin.get(f"{INDEX}{pair['server_id']}/").content.decode()
    assert set(row_data["figures"]) == set(re.findall(r'data-ft="(\w+)"', row(page, pair) + detail))
    ages = {
        "last_checkpoint": "",
        "primary_since": "for 2 hours",
        "secondary_since": "for 60 minutes",
    }
    assert row_data["figures"] | {"last_checkpoint": ""} == ages | {
        "per_min": "21.5",
        "p99": "14.0 ms",
        "pauses": "mean 9.1 ms, p99 14.0 ms, longest 20.1 ms",
        "totals": "1210 in total: 907 mismatch, 300 periodic, 3 forced",
    }


@pytest.mark.parametrize(
    ("change", "is_news"),
    [
        ({"checkpoints": None}, False),
        ({"state": "degraded"}, True),
        ({"health_reasons": ["Slow."]}, True),
        ({"secondary": {"host": "compute-c", "since": seconds_ago(1)}}, True),
        ({"stale_since": seconds_ago(60)}, True),
        ({"progress": {"stage": "mirroring disk", "step": 1, "of": 2, "percent": 5}}, True),
    ],
)
def test_a_digest_tells_what_is_more_than_a_figure(cloud, admin, change, is_news):
    pair = add(cloud)
    shown = digest_on(admin.get(INDEX), pair)
    assert live(admin).json()["rows"][0]["digest"] == shown
    cloud.pairs[pair["server_id"]].update(
        change
        if is_news
        else {"checkpoints": pair["checkpoints"] | {"total": 2000, "last_at": seconds_ago(0)}}
    )
    assert (live(admin).json()["rows"][0]["digest"] != shown) is is_news


def test_it_is_the_same_page_of_the_list(cloud, admin):
    for number in range(PAGE + 1):
        add(cloud, f"vm-{number:02}")
    first = live(admin).json()["rows"]
    assert len(first) == PAGE
    assert [row_data["name"] for row_data in live(admin, after=first[-1]["id"]).json()["rows"]] == [
        f"vm-{PAGE}"
    ]


def test_it_costs_one_call(cloud, admin):
    add(cloud)
    live(admin)
    assert len(called(cloud, lambda: live(admin))) == 1


def test_a_tenant_is_told_of_its_own_servers_only(cloud, login):
    add(cloud)
    add(cloud, "not-mine", project_id=PROJECTS["admin"])
    member = login("demo")
    assert [row_data["name"] for row_data in live(member, PROJECT_INDEX).json()["rows"]] == ["web-1"]
    assert live(member).status_code == 403


@pytest.mark.parametrize("index", [INDEX, PROJECT_INDEX])
def test_the_page_of_a_pair_keeps_itself_up_to_date_too(cloud, admin, index):
    pair = add(cloud, project_id=PROJECTS["admin"])
    page = f"{index}{pair['server_id']}/"
    html = admin.get(page).content.decode()
    assert f'data-live="{page}live/"' in html
    shown = re.search(r'data-ft-digest="(\w+)"', html)[1]
    (row_data,) = admin.get(f"{page}live/").json()["rows"]
    assert (row_data["id"], row_data["digest"]) == (pair["server_id"], shown)
    cloud.pairs[pair["server_id"]]["state"] = "degraded"
    assert len(called(cloud, lambda: admin.get(f"{page}live/"))) == 1
    assert admin.get(f"{page}live/").json()["rows"][0]["digest"] != shown


def test_its_script_is_told_that_a_server_is_gone(cloud, admin):
    pair = add(cloud)
    del cloud.pairs[pair["server_id"]]
    answer = admin.get(f"{INDEX}{pair['server_id']}/live/")
    assert answer.status_code == 404
    assert answer.json()["error"]


def test_a_cloud_that_fails_is_no_empty_list(cloud, admin):
    add(cloud)
    cloud.failures["GET", "/os-fault-tolerance/servers"] = (500, "The database is away.")
    answer = live(admin)
    assert (answer.status_code, answer.json()) == (502, {"error": "The database is away."})


def test_nobody_is_told_anything_without_a_login(cloud):
    from django.test import Client

    assert live(Client()).status_code == 302
