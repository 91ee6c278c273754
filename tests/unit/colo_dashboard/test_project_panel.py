# SPDX-License-Identifier: Apache-2.0
"""Project > Compute > Fault Tolerance: a tenant's view; filters, order and pages of both panels."""

import re

import pytest

from tests.unit.colo_dashboard.pages import OTHER_PAGE, PAGE, PROJECT_INDEX, add, called, row, text
from tests.unit.novaclient_colo.fake_cloud import PROJECTS


@pytest.fixture
def member(login):
    return login("demo")


def names(answer):
    """Return the names of the servers in the table, from top to bottom."""
    return re.findall(r'<tr[^>]*data-display="([^"]*)"', answer.content.decode())


def link(answer, label):
    """Return the address of a link of the page, as a browser follows it."""
    match = re.search(rf'<a[^>]*href="([^"]*)"[^>]*>[^/]*{label}', answer.content.decode())
    return match and PROJECT_INDEX + match[1].replace("&amp;", "&")


def test_the_sidebar_leads_to_the_panel(cloud, member):
    assert f'href="{PROJECT_INDEX}"' in member.get(OTHER_PAGE).content.decode()


def test_a_tenant_sees_its_own_servers_without_hosts(cloud, member):
    pair = add(cloud)
    add(cloud, "not-mine", project_id=PROJECTS["admin"])
    cloud.can_see_hosts = False
    answer = member.get(PROJECT_INDEX)
    assert names(answer) == ["web-1"]
    assert "Protected" in row(answer, pair)
    assert "compute-" not in answer.content.decode()
    assert "Primary host" not in text(answer)


def test_a_page_costs_a_tenant_one_call(cloud, member):
    add(cloud)
    member.get(PROJECT_INDEX)
    assert len(called(cloud, lambda: member.get(PROJECT_INDEX))) == 1


def test_the_summary_counts_all_and_is_a_filter(cloud, member):
    add(cloud, "a-fine")
    add(cloud, "b-alone", state="degraded", health="warning")
    add(cloud, "c-alone", state="degraded", health="warning")
    answer = member.get(PROJECT_INDEX)
    assert "3 FT servers 2 Degraded 0 Unprotected 1 Protected" in text(answer)
    narrowed = member.get(link(answer, '\\s*<span class="colo-count">2<'))
    assert names(narrowed) == ["b-alone", "c-alone"]
    assert "3 FT servers 2 Degraded" in text(narrowed)
    assert re.search(
        r'colo-chosen"[^>]*aria-current="true">\s*<span class="colo-count">2<', narrowed.content.decode()
    )
    assert names(member.get(link(narrowed, "Show all"))) == ["b-alone", "c-alone", "a-fine"]


def test_a_filter_that_finds_nothing_does_not_say_that_there_is_nothing(cloud, member):
    add(cloud)
    answer = member.get(PROJECT_INDEX, {"name": "other"})
    assert "No FT servers match the filter." in text(answer)
    assert 'value="other"' in answer.content.decode()
    assert "There is no FT server yet" not in text(answer)


def test_pages_lead_to_each_other(cloud, member):
    for number in range(2 * PAGE + 1):
        add(cloud, f"vm-{number:02}")
    first = member.get(PROJECT_INDEX)
    second = member.get(link(first, "Next"))
    third = member.get(link(second, "Next"))
    assert [names(page)[0] for page in (first, second, third)] == ["vm-00", f"vm-{PAGE}", f"vm-{2 * PAGE}"]
    assert not link(first, "Previous")
    assert not link(third, "Next")
    assert names(member.get(link(third, "&laquo;&nbsp;Previous"))) == names(second)
    assert names(member.get(link(second, "&laquo;&nbsp;Previous"))) == names(first)


def test_a_filter_is_kept_from_page_to_page_and_begins_with_the_first(cloud, member):
    for number in range(PAGE + 1):
        add(cloud, f"vm-{number:02}")
    add(cloud, "other")
    first = member.get(PROJECT_INDEX, {"name": "vm"})
    second = member.get(link(first, "Next"))
    assert names(second) == [f"vm-{PAGE}"]
    assert "after=" not in link(second, '\\s*<span class="colo-count">21<')


def test_headings_sort_all_servers(cloud, member):
    add(cloud)
    heading = re.search(
        r"<th[^>]*>\s*<a class=\"colo-sort\" href=\"([^\"]*)\">Name",
        member.get(PROJECT_INDEX).content.decode(),
    )
    by_name = PROJECT_INDEX + heading[1].replace("&amp;", "&")
    requests_sent = called(cloud, lambda: member.get(by_name))
    assert "sort_key=name&sort_dir=asc" in requests_sent[0]
    answer = member.get(by_name)
    assert 'aria-sort="ascending"' in answer.content.decode()
    again = re.search(r'<a class="colo-sort" href="([^"]*)">Name', answer.content.decode())[1]
    assert "dir=desc" in again


def test_an_order_or_a_page_that_the_cloud_does_not_know_is_said(cloud, member):
    cloud.failures["GET", "/os-fault-tolerance/servers"] = (
        400,
        "Invalid input for query parameters sort_key.",
    )
    answer = member.get(PROJECT_INDEX, {"sort": "nonsense"})
    assert answer.status_code == 200
    assert "Invalid input for query parameters sort_key." in text(answer)
