# SPDX-License-Identifier: Apache-2.0
"""Admin > Compute > Fault Tolerance > Flavors: list, create, change and unset FT flavors."""

import re

import pytest

from tests.unit.colo_dashboard.pages import INDEX, PROJECT_INDEX, called, text
from tests.unit.novaclient_colo.fake_cloud import PROJECTS

FLAVORS = f"{INDEX}flavors/"
NEW = {"name": "ft.new", "vcpus": "2", "ram": "1024", "disk": "5", "mode": "hybrid", "auto_reprotect": "on"}


def alerts(client):
    return " ".join(re.findall(r'<div class="alert .*?</div>', client.get(FLAVORS).content.decode(), re.S))


def test_ft_flavors_come_first_and_say_what_a_secondary_takes(cloud, admin):
    cloud.add_flavor("a.plain")
    policy = {"ft_mode": "checkpoint", "ft_checkpoint_interval_ms": "200", "ft_auto_reprotect": "0"}
    cloud.add_flavor("ft.small", 2048, ft_enabled="1", **policy)
    page = text(admin.get(FLAVORS))
    assert (
        "ft.small yes Checkpoint, 200 ms, a lost secondary is not replaced automatically "
        "1 2048 1 4096 all projects" in page
    )
    assert page.index("ft.small") < page.index("a.plain")
    assert "a.plain no 1 512 1 - all projects" in page
    assert len(called(cloud, lambda: admin.get(FLAVORS))) == 1


def test_an_ft_flavor_is_made_in_one_dialog(cloud, admin):
    assert "The secondary takes twice as much" in admin.get(f"{FLAVORS}create/").content.decode()
    answer = admin.post(
        f"{FLAVORS}create/", NEW | {"checkpoint_interval_ms": "250", "projects": [PROJECTS["demo"]]}
    )
    assert (answer.status_code, answer["Location"]) == (302, FLAVORS)
    flavor = cloud.flavors["id-ft.new"]
    assert (flavor["vcpus"], flavor["ram"], flavor["disk"]) == (2, 1024, 5)
    assert flavor["extra_specs"] == {
        "ft:enabled": "1",
        "ft:mode": "hybrid",
        "ft:checkpoint_interval_ms": "250",
        "ft:auto_reprotect": "1",
    }
    assert cloud.access["id-ft.new"] == [PROJECTS["demo"]]
    assert "FT flavor ft.new was created." in alerts(admin)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": ""}, "This field is required."),
        ({"ram": "0"}, "greater than or equal to 1"),
        ({"checkpoint_interval_ms": "5"}, "greater than or equal to 10"),
        ({"mode": "magic"}, "not one of the available choices"),
        ({"projects": ["f" * 32]}, "not one of the available choices"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_made(cloud, admin, wrong, said):
    answer = admin.post(f"{FLAVORS}create/", NEW | wrong)
    assert answer.status_code == 200
    assert said in text(answer)
    assert not cloud.flavors


def test_a_name_that_is_taken_can_be_typed_anew(cloud, admin):
    cloud.add_flavor("ft.new")
    answer = admin.post(f"{FLAVORS}create/", NEW)
    assert answer.status_code == 200
    assert "Unable to create the flavor ft.new: Flavor with name ft.new already exists." in text(answer)
    assert 'value="1024"' in answer.content.decode()


def test_a_flavor_is_made_fault_tolerant_and_ordinary_again(cloud, admin):
    flavor = cloud.add_flavor("some", hw_cpu_policy="shared")
    assert "Make fault tolerant: some" in text(admin.get(f"{FLAVORS}id-some/set/"))
    admin.post(f"{FLAVORS}id-some/set/", {"mode": "colo", "auto_reprotect": "on"})
    assert flavor["extra_specs"] == {
        "hw:cpu_policy": "shared",
        "ft:enabled": "1",
        "ft:mode": "colo",
        "ft:auto_reprotect": "1",
    }
    assert "Change policy: some" in text(admin.get(f"{FLAVORS}id-some/set/"))
    assert "keep the flavor as it was" in text(admin.get(f"{FLAVORS}id-some/unset/"))
    admin.post(f"{FLAVORS}id-some/unset/")
    assert flavor["extra_specs"] == {"hw:cpu_policy": "shared"}
    assert "Fault tolerance was removed from flavor some." in alerts(admin)


def test_a_policy_begins_as_it_is(cloud, admin):
    cloud.add_flavor(
        "ft.a", ft_enabled="1", ft_mode="checkpoint", ft_checkpoint_interval_ms="200", ft_auto_reprotect="0"
    )
    page = admin.get(f"{FLAVORS}id-ft.a/set/").content.decode()
    assert re.search(r'value="checkpoint"[^>]*checked', page)
    assert 'value="200"' in page
    assert not re.search(r'name="auto_reprotect"[^>]*checked', page)


@pytest.mark.parametrize("what", ["set", "unset"])
def test_an_unknown_flavor_leads_back_to_the_list(cloud, admin, what):
    answer = admin.get(f"{FLAVORS}gone/{what}/")
    assert (answer.status_code, answer["Location"]) == (302, FLAVORS)
    assert "Flavor gone could not be found." in alerts(admin)


def test_flavors_that_cannot_be_listed_are_not_none(cloud, admin):
    cloud.failures["GET", "/flavors/detail"] = (500, "The database is away.")
    page = text(admin.get(FLAVORS))
    assert "Unable to list flavors: The database is away." in page
    assert "No flavors exist yet." not in page


def test_a_member_makes_none(cloud, login):
    member = login("demo")
    assert [member.get(url).status_code for url in (FLAVORS, f"{FLAVORS}create/")] == [403, 403]
    assert member.post(f"{FLAVORS}create/", NEW).status_code == 403
    assert not cloud.flavors


def test_where_servers_are_launched_ft_flavors_say_so(cloud, login):
    cloud.add_flavor("a.plain")
    cloud.add_flavor("ft.small", 2048, ft_enabled="1")
    names = f"{PROJECT_INDEX}flavors/"
    member = login("demo")
    assert member.get(names).json() == {"names": {"id-ft.small": "ft.small (fault tolerant)"}}
    assert (
        member.get(names, headers={"accept-language": "de"}).json()["names"]["id-ft.small"]
        == "ft.small (fehlertolerant)"
    )
    cloud.failures["GET", "/flavors/detail"] = (503, "Try again.")
    answer = member.get(names)
    assert (answer.status_code, answer.json()) == (502, {"error": "Try again."})
