# SPDX-License-Identifier: Apache-2.0
"""Admin > Compute > Fault Tolerance, with real templates, logins and HTTP."""

import re

import pytest

from tests.unit.colo_dashboard.pages import (
    INDEX,
    OTHER_PAGE,
    PAGE,
    REFUSED,
    add,
    called,
    failover_url,
    messages,
    row,
    text,
)
from tests.unit.novaclient_colo.fake_cloud import PROJECTS, make_pair, seconds_ago


def test_an_empty_page_tells_how_to_get_an_ft_server(admin):
    page = text(admin.get(INDEX))
    assert "No FT servers exist yet" in page
    assert "ft:enabled=true" in page


def test_one_row_shows_names_hosts_and_figures(cloud, admin):
    pair = add(cloud)
    answer = admin.get(INDEX)
    page = text(answer)
    for expected in (
        "web-1",
        "demo",
        "Protected",
        "compute-a",
        "compute-b",
        "seconds ago",
        "21.5",
        "14.0 ms",
        "1210 in total: 907 mismatch, 300 periodic, 3 forced",
        "2 hours ago: requested",
        "Fail over",
    ):
        assert expected in page
    assert f"{INDEX}{pair['server_id']}/" in row(answer, pair)
    assert "simulated" not in page


@pytest.mark.parametrize(
    ("state", "label"),
    [
        ("unprotected", "Unprotected"),
        ("starting", "Starting"),
        ("protected", "Protected"),
        ("degraded", "Degraded"),
        ("suspended", "Suspended"),
        ("failing_over", "Failing over"),
        ("error", "Error"),
        ("invented_later", "invented later"),
    ],
)
def test_each_state_has_a_word_an_icon_and_its_reason(cloud, admin, state, label):
    pair = add(cloud, state=state, state_reason="Because <of> this.")
    html = row(admin.get(INDEX), pair)
    assert re.search(
        rf'colo-badge-\w+"><span class="fa fa-[\w-]+" aria-hidden="true"></span> {label}</span>', html
    )
    assert "Because &lt;of&gt; this." in html


@pytest.mark.parametrize(
    ("health", "label"),
    [("ok", "OK"), ("warning", "Warning"), ("critical", "Critical"), ("unknown", "Unknown")],
)
def test_each_health_is_shown_with_all_its_reasons(cloud, admin, health, label):
    pair = add(cloud, health=health, health_reasons=["Pause p99 is 140 ms.", "Link is slow."])
    html = row(admin.get(INDEX), pair)
    assert f"</span> {label}</span>" in html
    assert "Pause p99 is 140 ms." in html
    assert "Link is slow." in html


def test_the_worst_comes_first(cloud, admin):
    add(cloud, "a-fine")
    add(cloud, "b-alone", state="degraded", health="warning")
    add(cloud, "c-broken", state="error", health="critical")
    page = text(admin.get(INDEX))
    assert page.index("c-broken") < page.index("b-alone") < page.index("a-fine")


def test_progress_shows_its_stage(cloud, admin):
    progress = {"stage": "mirroring disk", "step": 2, "of": 4, "percent": 50}
    pair = add(cloud, state="starting", progress=progress)
    html = row(admin.get(INDEX), pair)
    assert 'value="50"' in html
    assert "mirroring disk (step 2 of 4)" in html


def test_missing_figures_are_not_made_up(cloud, admin):
    checkpoints = {
        "total": 0,
        "mismatch": 0,
        "periodic": 0,
        "forced": 0,
        "last_at": None,
        "window_s": 300,
        "per_min": None,
        "pause_ms": None,
    }
    pair = add(
        cloud,
        state="starting",
        secondary=None,
        protected_since=None,
        checkpoints=checkpoints,
        failovers={"total": 0, "last_at": None, "last_reason": None, "last_gap_ms": None},
        actions=[],
    )
    html = row(admin.get(INDEX), pair)
    assert "never" in html
    assert "none" in html
    assert "None" not in html


def test_stale_figures_are_called_stale(cloud, admin):
    add(cloud, stale_since=seconds_ago(400))
    assert re.search(r"stale since \d\d:\d\d:\d\d", text(admin.get(INDEX)))


def test_simulated_figures_are_called_simulated(cloud, admin):
    add(cloud, backend="simulated")
    assert "their figures are simulated" in text(admin.get(INDEX))


def test_names_with_markup_are_escaped(cloud, admin):
    pair = add(cloud, "<script>alert(1)</script>\"'&")
    html = admin.get(INDEX).content.decode() + admin.get(failover_url(pair)).content.decode()
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_hosts_are_dashes_where_they_may_not_be_seen(cloud, admin):
    add(cloud)
    cloud.can_see_hosts = False
    page = text(admin.get(INDEX))
    assert "compute-a" not in page
    assert "None" not in page


@pytest.mark.parametrize("rows", [0, 1, 200])
def test_a_page_takes_three_calls_at_most_whatever_its_rows(cloud, admin, rows):
    for number in range(rows):
        add(cloud, f"vm-{number:03}")
    requests_sent = called(cloud, lambda: admin.get(INDEX))
    assert len(requests_sent) <= 3, requests_sent
    assert admin.get(INDEX).content.decode().count('id="fault_tolerance__row__') == min(rows, PAGE)


def test_discovery_is_asked_once_a_minute_not_once_a_page(cloud, admin):
    requests_sent = called(cloud, lambda: [admin.get(INDEX) for _ in range(3)])
    assert requests_sent.count("/compute/v2.1/os-fault-tolerance") == 1


@pytest.mark.parametrize("status", [403, 409, 500])
def test_a_failing_list_shows_the_apis_message_and_claims_nothing(cloud, admin, status):
    cloud.failures["GET", "/os-fault-tolerance/servers"] = (status, "The database <b>is away</b>.")
    answer = admin.get(INDEX)
    assert answer.status_code == 200
    assert "The database &lt;b&gt;is away&lt;/b&gt;." in answer.content.decode()
    assert "No FT servers exist yet" not in text(answer)


def test_an_unreachable_api_keeps_the_panel_and_says_so(cloud, login):
    cloud.compute_url = "http://127.0.0.1:9/v2.1"
    answer = login("admin").get(INDEX)
    assert answer.status_code == 200
    assert "The compute API does not answer." in text(answer)


def test_without_project_names_the_ids_are_shown(cloud, admin):
    cloud.failures["GET", "/v3/projects"] = (403, "You are not authorized.")
    add(cloud)
    assert PROJECTS["demo"] in text(admin.get(INDEX))


def test_a_cloud_without_fault_tolerance_has_no_panel(cloud, admin):
    cloud.filter_installed = False
    assert INDEX not in admin.get(OTHER_PAGE).content.decode()
    assert admin.get(INDEX).status_code == 403


def test_the_sidebar_leads_to_the_panel(cloud, admin):
    assert f'href="{INDEX}"' in admin.get(OTHER_PAGE).content.decode()


def test_a_member_has_no_admin_panel_and_it_costs_no_call(cloud, login):
    member = login("demo")
    answers = []
    requests_sent = called(
        cloud, lambda: answers.extend(member.get(url) for url in (INDEX, failover_url(make_pair())))
    )
    assert [answer.status_code for answer in answers] == [403, 403]
    assert not [path for path in requests_sent if "os-fault-tolerance/servers" in path]


def test_fail_over_is_red_and_opens_the_dialog(cloud, admin):
    pair = add(cloud)
    button = re.search(r"<a[^>]*action_failover[^>]*>", row(admin.get(INDEX), pair))[0]
    assert "btn-danger" in button
    assert "ajax-modal" in button
    assert f'href="{failover_url(pair)}"' in button


def test_a_refused_fail_over_is_disabled_and_says_why(cloud, admin):
    pair = add(cloud, state="degraded", secondary=None, actions=REFUSED)
    button = re.search(r"<a[^>]*action_failover[^>]*>", row(admin.get(INDEX), pair))[0]
    assert "btn-danger" not in button
    assert "ajax-modal" not in button
    assert 'aria-disabled="true"' in button
    assert 'title="There is no secondary. Free capacity on another host."' in button
    assert failover_url(pair) not in button


@pytest.mark.parametrize("ajax", [False, True])
def test_the_dialog_names_server_hosts_age_and_danger(cloud, admin, ajax):
    pair = add(cloud)
    answer = admin.get(failover_url(pair), headers={"X-Requested-With": "XMLHttpRequest"} if ajax else {})
    page = text(answer)
    assert "The secondary of web-1 becomes its primary" in page
    assert "Primary now compute-a Primary afterwards compute-b Last checkpoint" in page
    assert "runs unprotected until it has a new secondary" in page
    assert '<input class="btn btn-danger" type="submit" value="Fail over">' in answer.content.decode()
    assert ("<html>" in answer.content.decode()) is not ajax


def test_the_dialog_of_a_refused_failover_has_no_button(cloud, admin):
    pair = add(cloud, state="degraded", secondary=None, actions=REFUSED)
    answer = admin.get(failover_url(pair))
    assert "This is not possible: There is no secondary." in text(answer)
    assert 'type="submit" value="Fail over"' not in answer.content.decode()


def test_the_dialog_of_an_unknown_server_says_so(cloud, admin):
    answer = admin.get(failover_url(make_pair("gone")))
    assert "could not be found" in text(answer)
    assert admin.post(failover_url(make_pair("gone")), {"epoch": 3}).status_code == 302
    assert "could not be found" in messages(admin)


def test_confirming_fails_over_and_the_row_follows(cloud, admin):
    pair = add(cloud)
    answer = admin.post(failover_url(pair), {"epoch": pair["epoch"]})
    assert (answer.status_code, answer["Location"]) == (302, INDEX)
    assert cloud.bodies[-1] == {"failover": None}
    page = admin.get(INDEX)
    assert "Failover of web-1 was requested" in text(page)
    assert re.search(r'<tr[^>]*class="[^"]*ajax-update[^"]*warning', row(page, pair))


def row_update(client, pair):
    query = {"action": "row_update", "table": "fault_tolerance", "obj_id": pair["server_id"]}
    return client.get(INDEX, query, headers={"X-Requested-With": "XMLHttpRequest"})


def test_polling_the_row_swaps_the_hosts_and_ends(cloud, admin):
    pair = add(cloud)
    cloud.polls_until_done = 2
    admin.post(failover_url(pair), {"epoch": pair["epoch"]})
    first, second = row_update(admin, pair), row_update(admin, pair)
    assert "Failing over" in text(first)
    cells = text(row_update(admin, pair))
    assert "compute-b compute-a" in cells
    assert "warning" not in re.search(r"<tr[^>]*>", row_update(admin, pair).content.decode())[0]
    assert "warning" in re.search(r"<tr[^>]*>", second.content.decode())[0]


def test_a_row_is_followed_before_the_cloud_shows_any_change(cloud, admin):
    pair = add(cloud)
    admin.post(failover_url(pair), {"epoch": pair["epoch"]})
    pair = cloud.pairs[pair["server_id"]]
    cloud._polls.clear()
    pair.update(state="protected", state_reason="")
    html = row(admin.get(INDEX), pair)
    assert "warning" in re.search(r"<tr[^>]*>", html)[0]
    assert "A failover is in progress." in html


def test_a_row_of_a_vanished_server_is_removed(cloud, admin):
    pair = add(cloud)
    admin.get(INDEX)
    cloud.pairs.clear()
    assert row_update(admin, pair).status_code == 404


def test_a_row_update_takes_two_calls(cloud, admin):
    pair = add(cloud)
    admin.get(INDEX)
    assert len(called(cloud, lambda: row_update(admin, pair))) <= 2


def test_a_dialog_that_was_overtaken_does_nothing(cloud, admin):
    pair = add(cloud)
    admin.post(failover_url(pair), {"epoch": pair["epoch"] - 1})
    assert not [path for method, path in cloud.requests if path.endswith("/action")]
    assert "has failed over in the meantime" in messages(admin)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 500])
def test_a_refused_failover_shows_the_apis_message(cloud, admin, status):
    pair = add(cloud)
    cloud.failures["POST", "/action"] = (status, "Wait until the <i>server</i> is protected.")
    answer = admin.post(failover_url(pair), {"epoch": pair["epoch"]})
    assert answer.status_code == 302
    assert "Unable to fail over web-1: Wait until the &lt;i&gt;server&lt;/i&gt; is protected." in messages(
        admin
    )


def test_an_expired_login_leads_to_the_login_page(cloud, admin):
    pair = add(cloud)
    admin.get(INDEX)
    cloud.failures["GET", "/os-fault-tolerance"] = (401, "Expired.")
    assert admin.get(failover_url(pair)).status_code in (302, 403)


HOSTS = f"{INDEX}hosts/"


def make_host(name, **changes):
    agent = {"state": "up", "seen_at": seconds_ago(300), "version": "1.2.3", "backend": "qemu"}
    host = {
        "host": name,
        "agent": agent,
        "versions": {"qemu": "7.2.15", "libvirt": "9.0.0"},
        "capable": True,
        "reasons": [],
        "primaries": 3,
        "secondaries": 2,
        "reserved_memory_mb": 8192,
        "fenced_since": None,
    }
    return host | changes


def test_hosts_say_what_they_carry_and_why_they_cannot(cloud, admin):
    cloud.hosts = [
        make_host("compute-a"),
        make_host("compute-b", capable=False, reasons=["QEMU has no <filter-rewriter>."]),
        make_host(
            "compute-c",
            agent={"state": "down", "seen_at": seconds_ago(600), "version": None, "backend": None},
        ),
    ]
    answer = admin.get(HOSTS)
    page = text(answer)
    assert (
        "compute-a Up last report 5 minutes ago yes 3 2 8192 nova-colo-agent 1.2.3 (qemu) "
        "qemu 7.2.15 libvirt 9.0.0" in page
    )
    assert "compute-b Up last report 5 minutes ago no QEMU has no &lt;filter-rewriter&gt;. 3 2" in page
    assert "compute-c Down last report 10 minutes ago" in page
    assert f'href="{HOSTS}"' in admin.get(INDEX).content.decode()
    assert len(called(cloud, lambda: admin.get(HOSTS))) == 1


def test_hosts_that_cannot_be_listed_are_not_none(cloud, admin):
    assert "No host has an agent yet." in text(admin.get(HOSTS))
    cloud.failures["GET", "/os-fault-tolerance/hosts"] = (403, "Policy does not allow it.")
    page = text(admin.get(HOSTS))
    assert "Unable to list hosts: Policy does not allow it." in page
    assert "No host has an agent yet." not in page


def test_a_member_has_no_list_of_hosts(cloud, login):
    assert login("demo").get(HOSTS).status_code == 403
