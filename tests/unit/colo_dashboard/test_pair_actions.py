# SPDX-License-Identifier: Apache-2.0
"""Actions on a pair's row and page: which are offered, why others are refused, and their requests."""

import re

import pytest

from tests.unit.colo_dashboard.pages import INDEX, PROJECT_INDEX, add, called, row, text
from tests.unit.novaclient_colo.fake_cloud import actions

#: slug, label, posted fields besides the epoch, body of the API request
REQUESTS = [
    ("test_failover", "Test failover", {}, {"ft-test-failover": None}),
    ("test_failover", "Test failover", {"and_return": "on"}, {"ft-test-failover": {"return": True}}),
    ("unprotect", "Unprotect", {}, {"ft-unprotect": None}),
    ("suspend", "Suspend protection", {}, {"ft-suspend": None}),
    ("migrate_secondary", "Move secondary", {}, {"ft-migrate-secondary": {"host": None}}),
    ("set_mode", "Set mode", {"mode": "hybrid"}, {"ft-set-mode": {"mode": "hybrid"}}),
]
HOSTS = [{"host": f"compute-{letter}", "capable": letter != "d"} for letter in "abcd"]


@pytest.fixture
def member(login):
    return login("demo")


def url(index, pair, slug):
    return f"{index}{pair['server_id']}/{slug}/"


def offered(answer, pair):
    """Return the labels of a row's actions, and the reason why each is disabled."""
    links = re.findall(r"<a([^>]*data-table-action[^>]*)>\s*([^<]*?)\s*</a>", row(answer, pair), re.S)
    title = re.compile(r'title="([^"]*)"')
    return {label: title.search(attrs)[1] if "colo-refused" in attrs else "" for attrs, label in links}


def test_of_two_opposites_the_one_that_is_possible_is_offered(cloud, member):
    pair = add(cloud)
    labels = ["Fail over", "Test failover", "Unprotect", "Suspend protection", "Move secondary", "Set mode"]
    assert list(offered(member.get(PROJECT_INDEX), pair)) == labels
    pair["actions"] = actions(
        ft_resume="", ft_suspend="Suspended already.", ft_unprotect="", failover="Resume it first."
    )
    shown = offered(member.get(PROJECT_INDEX), pair)
    assert "Resume protection" in shown
    assert "Suspend protection" not in shown
    assert shown["Fail over"] == "Resume it first."


def test_what_the_role_does_not_allow_says_so(cloud, member):
    refused = "Your role does not allow to suspend this server's protection."
    pair = add(cloud, actions=actions(ft_suspend=refused))
    assert offered(member.get(PROJECT_INDEX), pair)["Suspend protection"] == refused.replace("'", "&#x27;")


def test_what_the_cloud_does_not_know_is_not_offered(cloud, member):
    pair = add(cloud, actions=[{"name": "failover", "allowed": True, "reason": ""}])
    assert list(offered(member.get(PROJECT_INDEX), pair)) == ["Fail over"]


@pytest.mark.parametrize(("slug", "label", "posted", "body"), REQUESTS)
@pytest.mark.parametrize("index", [INDEX, PROJECT_INDEX])
def test_an_action_is_asked_for_as_confirmed(cloud, login, index, slug, label, posted, body):
    client = login("admin" if index == INDEX else "demo")
    pair = add(cloud)
    dialog = client.get(url(index, pair, slug))
    assert f"{label}: web-1" in text(dialog)
    assert f'type="submit" value="{label}"' in dialog.content.decode()
    answer = client.post(url(index, pair, slug), {"epoch": pair["epoch"], **posted})
    assert (answer.status_code, answer["Location"]) == (302, index)
    assert cloud.bodies[-1] == body
    assert "of web-1 was" in text(client.get(index))


@pytest.mark.parametrize(
    ("slug", "done"),
    [
        ("protect", "protected"),
        ("resume", "protected"),
        ("suspend", "suspended"),
        ("unprotect", "unprotected"),
    ],
)
def test_a_row_shows_progress_until_the_request_is_done(cloud, admin, slug, done):
    pair = add(cloud, state="degraded", actions=actions(ft_protect="", ft_resume=""))
    admin.post(url(INDEX, pair, slug), {"epoch": pair["epoch"]})
    assert "colo-progress" in row(admin.get(INDEX), pair)
    cloud.pairs[pair["server_id"]]["state"] = done
    assert "colo-progress" not in row(admin.get(INDEX), pair)


def test_an_admin_may_choose_the_host(cloud, admin):
    cloud.hosts = HOSTS
    pair = add(cloud)
    dialog = admin.get(url(INDEX, pair, "migrate_secondary")).content.decode()
    assert re.findall(r'<option value="([^"]*)"', dialog) == ["", "compute-c"]
    admin.post(url(INDEX, pair, "migrate_secondary"), {"epoch": pair["epoch"], "host": "compute-c"})
    assert cloud.bodies[-1] == {"ft-migrate-secondary": {"host": "compute-c"}}
    answer = admin.post(url(INDEX, pair, "migrate_secondary"), {"epoch": pair["epoch"], "host": "compute-d"})
    assert answer.status_code == 200
    assert cloud.bodies[-1] == {"ft-migrate-secondary": {"host": "compute-c"}}


def test_a_tenant_is_shown_no_hosts_to_choose_from(cloud, member):
    cloud.hosts = HOSTS
    pair = add(cloud)
    requests_sent = called(cloud, lambda: member.get(url(PROJECT_INDEX, pair, "migrate_secondary")))
    assert not [path for path in requests_sent if path.endswith("/hosts")]


def test_force_needs_the_typed_name(cloud, admin):
    pair = add(
        cloud, "web-<1>", state="degraded", actions=actions(failover="The pair is degraded, not protected.")
    )
    page = admin.get(url(INDEX, pair, "failover"))
    assert "The pair is degraded, not protected." in text(page)
    for typed in ("", "web-1", "WEB-<1>"):
        answer = admin.post(url(INDEX, pair, "failover"), {"epoch": pair["epoch"], "force": typed})
        assert answer.status_code == 200
        assert "This is not the name of the server: web-&lt;1&gt;" in answer.content.decode()
    assert not [path for method, path in cloud.requests if path.endswith("/action")]
    admin.post(url(INDEX, pair, "failover"), {"epoch": pair["epoch"], "force": "web-<1>"})
    assert cloud.bodies[-1] == {"failover": {"force": True}}


def test_a_tenant_cannot_force(cloud, member):
    pair = add(cloud, state="degraded", actions=actions(failover="The pair is degraded, not protected."))
    assert "This is not possible: The pair is degraded" in text(
        member.get(url(PROJECT_INDEX, pair, "failover"))
    )
    member.post(url(PROJECT_INDEX, pair, "failover"), {"epoch": pair["epoch"], "force": "web-1"})
    assert cloud.bodies[-1] != {"failover": {"force": True}}


@pytest.mark.parametrize("slug", ["nonsense", "get", "wait_for"])
def test_an_action_that_is_none_is_not_found(cloud, member, slug):
    assert member.get(url(PROJECT_INDEX, add(cloud), slug)).status_code == 404


@pytest.mark.parametrize("slug", ["suspend", "set_mode", "migrate_secondary"])
def test_another_projects_server_is_not_there(cloud, member, slug):
    pair = add(cloud, project_id="a" * 32)
    assert "could not be found" in text(member.get(url(PROJECT_INDEX, pair, slug)))
