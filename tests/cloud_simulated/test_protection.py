# SPDX-License-Identifier: Apache-2.0
"""Users' actions on a pair other than a failover, and the reservations in Placement meanwhile."""

import uuid

import pytest

from nova_colo.pair.model import secondary_id
from tests.fixtures.cloud import lab_command, wait_for

MEMORY_MB = 2 * 64


@pytest.fixture
def web(cloud, pair):
    """Yield the protected pair of web-1, and protect it again afterwards."""
    yield pair
    cloud.protect_again(pair["server_id"])
    cloud.protected("web-1")


def ask(cloud, pair, action, arguments=None):
    response = cloud.act(pair["server_id"], {action: arguments})
    assert response.status_code == 202, response.text


def third_host(pair):
    (host,) = {"compute-a", "compute-b", "compute-c"} - {pair["primary"]["host"], pair["secondary"]["host"]}
    return host


def guests(lab, pair):
    """Return the hosts that have a guest of a server."""
    return {
        path.parent.name for path in (lab.layout.prefix / "simulated").glob(f"*/{pair['server_id']}.json")
    }


def test_suspending_keeps_the_room_and_resuming_uses_it(cloud, lab, web):
    ask(cloud, web, "ft-suspend")
    suspended = cloud.in_state("web-1", "suspended")
    host = web["secondary"]["host"]
    assert suspended["secondary"] is None and suspended["wanted"] == "suspended"
    assert suspended["epoch"] == web["epoch"]
    assert cloud.reserved(web["server_id"])[host]["MEMORY_MB"] == MEMORY_MB
    assert guests(lab, web) == {web["primary"]["host"]}
    assert cloud.act(web["server_id"], {"failover": None}).status_code == 409
    ask(cloud, web, "ft-resume")
    assert cloud.protected("web-1")["secondary"]["host"] == host


def test_an_unprotected_server_stays_so_until_somebody_wants_it(cloud, lab, web):
    ask(cloud, web, "ft-unprotect")
    now = cloud.in_state("web-1", "unprotected")
    assert "protected again" in now["state_reason"] and now["health"] == "warning"
    assert guests(lab, web) == {web["primary"]["host"]}
    assert cloud.reserved(web["server_id"]) == {}
    assert cloud.server("web-1")["OS-EXT-FT:ft_status"] == "missing_secondary"
    lab.service("engine").restart()
    assert cloud.act(web["server_id"], {"ft-unprotect": None}).status_code == 409
    ask(cloud, web, "ft-protect")
    cloud.protected("web-1")
    assert any("removed on request" in message for message in cloud.events(web["server_id"]))


def test_protection_that_is_being_made_can_be_called_off(cloud, lab, web):
    ask(cloud, web, "ft-unprotect")
    cloud.in_state("web-1", "unprotected")
    ask(cloud, web, "ft-protect")
    cloud.in_state("web-1", "starting")
    ask(cloud, web, "ft-unprotect")
    cloud.in_state("web-1", "unprotected")
    assert guests(lab, web) == {web["primary"]["host"]} and cloud.reserved(web["server_id"]) == {}


def test_a_test_failover_goes_there_and_back(cloud, web):
    ask(cloud, web, "ft-test-failover", {"return": True})

    def is_back():
        now = cloud.pairs()["web-1"]
        return now if now["epoch"] == web["epoch"] + 2 and now["state"] == "protected" else None

    now = wait_for("the server is back", 120, is_back)
    assert (now["primary"]["host"], now["secondary"]["host"]) == (
        web["primary"]["host"],
        web["secondary"]["host"],
    )
    assert cloud.server("web-1")["OS-EXT-SRV-ATTR:host"] == web["primary"]["host"]
    messages = " ".join(cloud.events(web["server_id"])[:8])
    assert "test failover was requested" in messages and "returning to" in messages


def test_a_test_failover_stays_there_unless_asked_to_return(cloud, web):
    ask(cloud, web, "ft-test-failover")
    now = cloud.failed_over("web-1", web)
    assert now["primary"]["host"] == web["secondary"]["host"]
    assert cloud.protected("web-1")["epoch"] == web["epoch"] + 1


@pytest.mark.parametrize("named", [False, True], ids=["anywhere", "to a named host"])
def test_the_secondary_moves(cloud, lab, web, named):
    host = third_host(web)
    ask(cloud, web, "ft-migrate-secondary", {"host": host if named else None})

    def moved():
        now = cloud.pairs()["web-1"]
        return now if now["state"] == "protected" and now["secondary"]["host"] == host else None

    now = wait_for("the secondary is on the third host", 90, moved)
    assert now["epoch"] == web["epoch"] and now["primary"] == web["primary"]
    assert set(cloud.reserved(web["server_id"])) == {host}
    assert guests(lab, web) == {web["primary"]["host"], host}


def test_a_secondary_that_finds_no_room_stays_where_it_is(cloud, web):
    with cloud.closed(third_host(web)):
        ask(cloud, web, "ft-migrate-secondary", {"host": None})
        wait_for("the reason is shown", 60, lambda: "was not moved" in cloud.pairs()["web-1"]["state_reason"])
        now = cloud.pairs()["web-1"]
    assert now["state"] == "protected" and now["secondary"] == web["secondary"]
    assert set(cloud.reserved(web["server_id"])) == {web["secondary"]["host"]}


def test_a_host_that_is_forced_down_gets_no_secondary_for_novas_records_could_not_follow_to_it(cloud, web):
    host = third_host(web)
    cloud.force_down(host, True)
    try:
        ask(cloud, web, "ft-migrate-secondary", {"host": host})
        wait_for(
            "the reason is shown",
            60,
            lambda: "nova-compute is forced down" in cloud.pairs()["web-1"]["state_reason"],
        )
        now = cloud.pairs()["web-1"]
    finally:
        cloud.force_down(host, False)
    assert now["state"] == "protected" and now["secondary"] == web["secondary"]


def test_the_mode_of_a_live_pair_changes(cloud, web):
    ask(cloud, web, "ft-set-mode", {"mode": "checkpoint"})
    now = wait_for("the mode", 30, lambda: (p := cloud.pairs()["web-1"])["mode_policy"] == "checkpoint" and p)
    assert (
        now["mode"] == "checkpoint" and now["state"] == "protected" and now["secondary"] == web["secondary"]
    )
    ask(cloud, web, "ft-set-mode", {"mode": "hybrid"})
    now = wait_for("the mode", 30, lambda: (p := cloud.pairs()["web-1"])["mode_policy"] == "hybrid" and p)
    assert now["mode"] == "colo"


def test_a_server_that_finds_no_secondary_says_why_and_gets_one_later(cloud, web):
    others = {"compute-a", "compute-b", "compute-c"} - {web["primary"]["host"]}
    ask(cloud, web, "ft-unprotect")
    cloud.in_state("web-1", "unprotected")
    with cloud.closed(*others):
        ask(cloud, web, "ft-protect")
        reason = wait_for(
            "the reason", 60, lambda: (p := cloud.pairs()["web-1"])["first_error"] and p["state_reason"]
        )
        assert f"no other host has {MEMORY_MB} MB of RAM free" in reason
        assert cloud.pairs()["web-1"]["health"] == "critical"
    assert cloud.protected("web-1")["first_error"] is None


def test_a_reservation_that_somebody_has_deleted_is_made_again(cloud, web):
    before = cloud.reserved(web["server_id"])
    assert cloud.placement("DELETE", f"/allocations/{secondary_id(web['server_id'])}").status_code == 204
    wait_for("the reservation", 60, lambda: cloud.reserved(web["server_id"]) == before)
    wait_for(
        "an event of it", 10, lambda: "missing or wrong in Placement" in cloud.events(web["server_id"])[0]
    )


def test_a_reservation_that_belongs_to_nobody_is_removed(cloud, web):
    orphan = str(uuid.uuid5(uuid.NAMESPACE_DNS, "orphan"))
    body = {
        "allocations": {_provider(cloud, third_host(web)): {"resources": {"MEMORY_MB": 64}}},
        "project_id": cloud.project_id("admin"),
        "user_id": "somebody",
        "consumer_generation": None,
        "consumer_type": "COLO_SECONDARY",
    }
    assert cloud.placement("PUT", f"/allocations/{orphan}", json=body).status_code == 204
    wait_for(
        "it is gone", 60, lambda: not cloud.placement("GET", f"/allocations/{orphan}").json()["allocations"]
    )


def _provider(cloud, host):
    return cloud.placement("GET", f"/resource_providers?name={host}").json()["resource_providers"][0]["uuid"]


def test_a_flavor_may_forbid_a_new_secondary_after_a_loss(cloud, lab, pair):
    flavor = ("flavor", "create", "ft.once", "--vcpus", "1", "--ram", "64", "--disk", "0")
    cloud.openstack(*flavor, "--property", "ft:enabled=1", "--property", "ft:auto_reprotect=0")
    server_id = cloud.create_server("once", "ft.once")
    try:
        pair = cloud.protected("once")
        (lab.layout.prefix / "simulated" / pair["secondary"]["host"] / f"{server_id}.json").unlink()
        lost = cloud.in_state("once", "degraded")
        wait_for("the reason", 30, lambda: "ft:auto_reprotect=0" in cloud.pairs()["once"]["state_reason"])
        assert lost["secondary"] is None
        ask(cloud, pair, "ft-protect")
        cloud.protected("once")
    finally:
        cloud.run("openstack", "server", "delete", "--wait", server_id)
        cloud.run("openstack", "flavor", "delete", "ft.once")


def test_a_nova_compute_that_is_restarted_while_records_follow_does_not_stop_them(cloud, lab, pair):
    source, target = pair["primary"]["host"], pair["secondary"]["host"]
    assert cloud.act(pair["server_id"], {"failover": None}).status_code == 202
    wait_for(
        "Nova moves its records", 60, lambda: cloud.server("web-1")["OS-EXT-STS:task_state"] == "migrating"
    )
    lab.service(f"{source}-nova-compute").restart()
    cloud.failed_over("web-1", pair, 120)
    cloud.protected("web-1")
    server = cloud.server("web-1")
    assert (server["status"], server["OS-EXT-SRV-ATTR:host"]) == ("ACTIVE", target)


@pytest.mark.parametrize("activated", [False, True], ids=["before it began", "at its end"])
def test_port_bindings_that_an_ended_migration_has_left_do_not_stop_records(cloud, pair, activated):
    server_id, target = pair["server_id"], pair["secondary"]["host"]
    cloud.bind(server_id, target, activated)
    assert cloud.act(server_id, {"failover": None}).status_code == 202
    cloud.failed_over("web-1", pair)
    assert cloud.bindings(server_id) == [{target: "ACTIVE"}]
    cloud.protected("web-1")


@pytest.mark.parametrize("known", [True, False], ids=["known to be down", "not known yet to be down"])
def test_a_server_deleted_while_its_host_is_down_leaves_nothing(cloud, lab, pair, known):
    """If Nova has the host down, it deletes its records only; else its request waits for the host."""
    server_id = cloud.create_server("forlorn", "ft.nano")
    pair = cloud.protected("forlorn")
    host = pair["primary"]["host"]
    lab.service("engine").stop()
    assert lab_command(lab, "host", "kill", host).returncode == 0
    try:
        cloud.force_down(host, known)
        assert cloud.request("DELETE", f"/servers/{server_id}").status_code == 204
    finally:
        lab.service("engine").start()
        assert lab_command(lab, "host", "start", host).returncode == 0
        cloud.force_down(host, False)
    wait_for("no reservation is left", 90, lambda: cloud.reserved(server_id) == {})
    wait_for("no guest is left", 90, lambda: not guests(lab, pair))
