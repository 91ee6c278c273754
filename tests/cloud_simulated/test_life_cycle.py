# SPDX-License-Identifier: Apache-2.0
"""Further actions of an FT server's owner."""

from tests.fixtures import many_servers
from tests.fixtures.cloud import wait_for


def test_a_new_ft_server_is_protected_stopped_started_and_deleted(cloud, pair, lab):
    server_id = cloud.create_server("short-lived", "ft.nano")
    try:
        cloud.protected("short-lived")
        cloud.run("openstack", "server", "stop", server_id)
        stopped = wait_for("protection ends with a stop", 90, lambda: _stopped(cloud))
        assert stopped["state"] == "unprotected" and stopped["secondary"] is None
        assert cloud.server("short-lived")["status"] == "SHUTOFF"
        cloud.run("openstack", "server", "start", server_id)
        cloud.protected("short-lived")
    finally:
        cloud.run("openstack", "server", "delete", "--wait", server_id)
    wait_for("the pair is gone", 60, lambda: "short-lived" not in cloud.pairs())
    assert server_id not in many_servers.allocations(cloud)
    # a repair of reservations at the same moment may have made it again; the next but one removes it
    wait_for("its secondary's reservation is gone", 60, lambda: cloud.reserved(server_id) == {})
    folder = lab.layout.prefix / "simulated"
    wait_for("nothing of it is left on a host", 60, lambda: not list(folder.glob(f"*/{server_id}*")))


def _stopped(cloud):
    pair = cloud.pairs()["short-lived"]
    return pair if "SHUTOFF" in pair["state_reason"] else None


def test_half_a_pair_cannot_be_moved_by_hand(cloud, pair):
    response = cloud.request(
        "POST",
        f"/servers/{pair['server_id']}/action",
        json={"os-migrateLive": {"host": None, "block_migration": "auto"}},
        headers={"OpenStack-API-Version": "compute 2.67"},
    )
    assert response.status_code == 409
    assert "move its secondary to another host" in response.json()["conflictingRequest"]["message"]
    assert cloud.server("web-1")["OS-EXT-SRV-ATTR:host"] == pair["primary"]["host"]
    assert cloud.pairs()["web-1"]["state"] == "protected"
