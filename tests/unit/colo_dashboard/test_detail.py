# SPDX-License-Identifier: Apache-2.0
"""The page of one pair."""

import csv
import io
import re

import pytest

from tests.unit.colo_dashboard.pages import INDEX, PROJECT_INDEX, add, called, messages, text
from tests.unit.novaclient_colo.fake_cloud import PROJECTS, make_pair, seconds_ago

TABS = {
    name: f"tab=fault_tolerance_details__{name}" for name in ("overview", "checkpoints", "events", "policy")
}


def url(pair, tab="overview", index=INDEX, more=""):
    return f"{index}{pair['server_id']}/?{TABS[tab]}{more}"


def bucket(ago, mismatch=1, periodic=0, forced=0, mean=9.0, longest=12.0):
    return {
        "start": seconds_ago(ago),
        "seconds": 10,
        "mismatch": mismatch,
        "periodic": periodic,
        "forced": forced,
        "pause_ms": {"mean": mean, "max": longest},
    }


def test_the_overview_draws_the_pair(cloud, admin):
    answer = admin.get(url(add(cloud, first_error="Out of capacity.")))
    page = text(answer)
    assert "Primary compute-a for 2 hours COLO Secondary compute-b for 60 minutes" in page
    assert "mean 9.1 ms, p99 14.0 ms, longest 20.1 ms" in page
    assert "First error Out of capacity." in page
    assert 'aria-label="A primary and its secondary"' in answer.content.decode()


def test_without_a_secondary_it_is_drawn_so(cloud, admin):
    answer = admin.get(
        url(
            add(
                cloud,
                state="degraded",
                secondary=None,
                state_reason="Needs a secondary: no host has capacity.",
            )
        )
    )
    assert 'aria-label="A primary without a secondary"' in answer.content.decode()
    assert "Secondary none" in text(answer)
    assert "Needs a secondary: no host has capacity." in text(answer)


def test_its_actions_are_there_too(cloud, admin):
    pair = add(cloud)
    html = admin.get(url(pair)).content.decode()
    assert f'href="{INDEX}{pair["server_id"]}/failover/"' in html
    assert f'href="{INDEX}{pair["server_id"]}/suspend/"' in html


@pytest.mark.parametrize(
    ("tab", "calls"), [("overview", 1), ("policy", 1), ("events", 2), ("checkpoints", 2)]
)
def test_a_tab_costs_its_own_call_only(cloud, admin, tab, calls):
    pair = add(cloud)
    admin.get(url(pair))
    assert len(called(cloud, lambda: admin.get(url(pair, tab)))) == calls


def test_events_say_who_what_and_when(cloud, admin):
    pair = add(cloud)
    cloud.events = [
        {
            "id": 2,
            "at": "2026-01-02T03:04:05Z",
            "kind": "failover",
            "level": "warning",
            "message": "Failed <over>.",
            "request_id": "req-1",
            "user_id": "u-1",
        },
        {
            "id": 1,
            "at": "2026-01-01T03:04:05Z",
            "kind": "protect",
            "level": "info",
            "message": "Protected.",
            "request_id": None,
            "user_id": None,
        },
    ]
    answer = admin.get(url(pair, "events"))
    assert "Warning Failed &lt;over&gt;. alice req-1" in text(answer)
    assert "Info Protected. -" in text(answer)
    cloud.events[0]["user_id"], cloud.events[1]["user_id"] = "admin", "deleted"
    answer = admin.get(url(pair, "events"))
    assert "Warning Failed &lt;over&gt;. admin req-1" in text(answer)
    assert "Info Protected. deleted" in text(answer)


def test_a_member_reads_its_own_name_and_others_ids(cloud, login):
    pair = add(cloud, project_id=PROJECTS["demo"])
    event = {"at": "2026-01-02T03:04:05Z", "kind": "failover", "level": "info", "request_id": None}
    cloud.events = [
        event | {"id": number, "message": "Requested.", "user_id": user}
        for number, user in enumerate(("demo", "u-1"))
    ]
    page = text(login("demo").get(url(pair, "events", PROJECT_INDEX)))
    assert "Requested. demo" in page and "Requested. u-1" in page


def test_charts_show_causes_and_have_a_table(cloud, admin):
    pair = add(cloud)
    cloud.buckets = [
        bucket(130, mismatch=2, periodic=1, longest=33.3),
        bucket(60, mismatch=0, forced=1, mean=None, longest=None),
    ]
    answer = admin.get(url(pair, "checkpoints", more="&period=5m"))
    html = answer.content.decode()
    chart = re.search(r"<svg.*?</svg>", html, re.S)[0]
    assert [
        cause for cause in ("mismatch", "periodic", "forced") if f'class="colo-fill-{cause}"' in chart
    ] == [
        "mismatch",
        "periodic",
        "forced",
    ]
    assert "<title" in chart
    assert "up to 3 checkpoints" in chart
    assert "up to 33.3 ms" in html
    numbers = re.search(r"<details.*?</details>", html, re.S)[0]
    assert len(re.findall(r"<tr>", numbers)) == 3
    assert "style=" not in chart
    assert "<script" not in re.search(r'<div class="colo-periods">.*</details>', html, re.S)[0]


def test_a_time_without_checkpoints_says_so(cloud, admin):
    assert "No checkpoints in this period." in text(admin.get(url(add(cloud), "checkpoints")))


@pytest.mark.parametrize(
    ("period", "seconds"), [("5m", 300), ("1h", 3600), ("24h", 86400), ("nonsense", 3600)]
)
def test_the_period_is_what_is_asked_for(cloud, admin, period, seconds):
    pair = add(cloud)
    (since,) = [
        re.search(r"since=([^&]*)", path)[1].replace("%3A", ":")
        for path in called(cloud, lambda: admin.get(url(pair, "checkpoints", more=f"&period={period}")))
        if "since=" in path
    ]
    assert seconds_ago(seconds + 5) <= since <= seconds_ago(seconds)


def test_the_history_is_a_file_too(cloud, admin):
    pair = add(cloud)
    cloud.buckets = [bucket(130, mismatch=2)]
    answer = admin.get(f"{INDEX}{pair['server_id']}/checkpoints.csv?period=24h")
    assert answer["Content-Type"] == "text/csv"
    assert f"checkpoints-{pair['server_id']}-24h.csv" in answer["Content-Disposition"]
    (line,) = csv.DictReader(io.StringIO(answer.content.decode()))
    assert (line["mismatch"], line["pause_mean_ms"], line["pause_max_ms"]) == ("2", "9.0", "12.0")


@pytest.mark.parametrize("tab", ["checkpoints", "events"])
def test_a_tab_that_fails_says_why_and_the_page_stays(cloud, admin, tab):
    pair = add(cloud)
    cloud.failures["GET", f"/{tab}"] = (500, "The database <b>is away</b>.")
    answer = admin.get(url(pair, tab))
    assert answer.status_code == 200
    assert "Unable to show this: The database &lt;b&gt;is away&lt;/b&gt;." in text(answer)


def test_the_policy_is_in_words(cloud, admin):
    pair = add(cloud, mode_policy="hybrid", checkpoint_interval_ms=200, auto_reprotect=False)
    page = text(admin.get(url(pair, "policy")))
    assert "Flavor ft.nano Mode Hybrid (now COLO) Checkpoint interval 200 ms" in page
    assert "a new secondary is created on request" in page


def test_an_unknown_server_leads_back_to_the_list(cloud, admin):
    answer = admin.get(url(make_pair("gone")))
    assert (answer.status_code, answer["Location"]) == (302, INDEX)
    assert "could not be found" in messages(admin)


def test_a_tenants_page_has_no_hosts(cloud, login):
    cloud.can_see_hosts = False
    answer = login("demo").get(url(add(cloud), index=PROJECT_INDEX))
    assert answer.status_code == 200
    assert "compute-" not in answer.content.decode()
    assert not re.search(r">\s*None\s*<", answer.content.decode())
