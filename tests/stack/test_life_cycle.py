# SPDX-License-Identifier: Apache-2.0
"""What an FT server's owner does with it besides."""

from tests.cloud import wait_for


def make(cloud, name):
    return cloud.openstack("server", "create", name, "--flavor", "ft.nano", "--image", "cirros", "--nic", "none", "--wait")


def test_a_new_ft_server_is_protected_stopped_started_and_deleted(cloud, pair, lab):
    server = make(cloud, "short-lived")
    try:
        cloud.protected("short-lived")
        cloud.run("openstack", "server", "stop", server["id"])
        stopped = wait_for("protection ends with a stop", 90, lambda: _stopped(cloud))
        assert stopped["state"] == "unprotected" and stopped["secondary"] is None
        assert cloud.server("short-lived")["status"] == "SHUTOFF"
        cloud.run("openstack", "server", "start", server["id"])
        now = cloud.protected("short-lived")
    finally:
        cloud.run("openstack", "server", "delete", "--wait", server["id"])
    wait_for("the pair is gone", 60, lambda: "short-lived" not in cloud.pairs())
    held = cloud.openstack("resource", "provider", "show", "--allocations", _provider(cloud, now["secondary"]["host"]))
    assert server["id"] not in held["allocations"]
    folder = lab.layout.prefix / "simulated"
    wait_for("nothing of it is left on a host", 60, lambda: not list(folder.glob(f"*/{server['id']}*")))


def _stopped(cloud):
    pair = cloud.pairs()["short-lived"]
    return pair if "SHUTOFF" in pair["state_reason"] else None


def _provider(cloud, host):
    return next(p["uuid"] for p in cloud.openstack("resource", "provider", "list") if p["name"] == host)


def test_half_a_pair_cannot_be_moved_by_hand(cloud, pair):
    response = cloud.request(
        "POST",
        f"/servers/{pair['server_id']}/action",
        json={"os-migrateLive": {"host": None, "block_migration": "auto"}},
        headers={"OpenStack-API-Version": "compute 2.67"},
    )
    assert response.status_code == 409
    assert "ft-migrate-secondary" in response.json()["conflictingRequest"]["message"]
    assert cloud.server("web-1")["OS-EXT-SRV-ATTR:host"] == pair["primary"]["host"]
    assert cloud.pairs()["web-1"]["state"] == "protected"
