# SPDX-License-Identifier: Apache-2.0
"""Failovers by command, and restarts of processes during them."""

import os
import signal

import psutil
import pytest

from tests.fixtures import many_servers
from tests.fixtures.cloud import identity, wait_for


def placed_on(cloud, name):
    return cloud.server(name)["OS-EXT-SRV-ATTR:host"]


def test_nova_failover(cloud, pair):
    before = cloud.server("web-1")
    done = cloud.run("nova", "failover", pair["server_id"])
    assert done.returncode == 0, done.stderr
    after = cloud.failed_over("web-1", pair)
    assert after["primary"]["host"] == pair["secondary"]["host"] == placed_on(cloud, "web-1")
    assert identity(cloud.server("web-1")) == identity(before)
    assert after["failovers"]["total"] == pair["failovers"]["total"] + 1
    listed = cloud.run("nova", "ft-list", "--all-tenants")
    assert "web-1" in listed.stdout and after["primary"]["host"] in listed.stdout


def test_openstack_failover_waits_for_the_end(cloud, pair):
    before = cloud.server("web-1")
    done = cloud.run("openstack", "server", "failover", "web-1", "--wait")
    assert done.returncode == 0, done.stderr
    assert pair["secondary"]["host"] in done.stdout
    assert placed_on(cloud, "web-1") == pair["secondary"]["host"]
    assert identity(cloud.server("web-1")) == identity(before)
    assert cloud.protected("web-1")["secondary"]["host"] == pair["primary"]["host"]


def test_a_failed_over_server_belongs_to_its_new_host(cloud, pair):
    """Placement and Neutron agree with Nova, and nothing is left on the old host."""
    cloud.act(pair["server_id"], {"failover": None})
    cloud.failed_over("web-1", pair)
    now = cloud.protected("web-1")
    assert many_servers.allocations(cloud)[pair["server_id"]] == {now["primary"]["host"]}
    (port,) = cloud.sdk.network.ports(device_id=pair["server_id"])
    assert port.binding_host_id == now["primary"]["host"]
    assert {service["status"] for service in cloud.compute_services().values()} == {"enabled"}


def test_records_follow_also_of_a_server_that_nova_takes_for_broken(cloud, pair):
    """Status ERROR, as after a failed move: Nova refuses all other moves of such a server."""
    assert cloud.act(pair["server_id"], {"os-resetState": {"state": "error"}}).status_code == 202
    cloud.act(pair["server_id"], {"failover": None})
    after = cloud.failed_over("web-1", pair)
    server = cloud.server("web-1")
    assert (server["status"], server["OS-EXT-SRV-ATTR:host"]) == ("ACTIVE", after["primary"]["host"])


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_an_engine_that_ends_in_the_middle_is_no_harm(cloud, pair, lab, how):
    cloud.act(pair["server_id"], {"failover": None})
    wait_for("the grant", 60, lambda: cloud.pairs()["web-1"]["epoch"] > pair["epoch"])
    engine = lab.service("engine")
    getattr(engine, how)()
    engine.start()
    after = cloud.failed_over("web-1", pair, 180)
    assert after["epoch"] == pair["epoch"] + 1
    assert placed_on(cloud, "web-1") == pair["secondary"]["host"]
    assert cloud.protected("web-1", 180)["failovers"]["total"] == pair["failovers"]["total"] + 1


def test_several_nova_api_workers_agree(cloud, pair, lab):
    workers = {line.split()[0] for line in _uwsgi_workers(lab)}
    assert len(workers) >= 2
    seen = {cloud.pairs()["web-1"]["epoch"] for _ in range(20)}
    assert seen == {pair["epoch"]}


def _uwsgi_workers(lab):
    master = psutil.Process(lab.service("nova-api").status().pid)
    return [f"{child.pid} {child.name()}" for child in master.children()]


def test_pairs_survive_a_restart_of_every_process(cloud, pair, lab):
    names = [status.name for status in lab.status()]
    ours = [
        name for name in names if name in ("engine", "nova-api") or name.startswith(pair["primary"]["host"])
    ]
    ours += [name for name in names if name.startswith(pair["secondary"]["host"])]
    assert len(ours) == 6
    for name in ours:
        lab.service(name).restart()
    total = pair["checkpoints"]["total"]

    def fresh():
        now = cloud.pairs()["web-1"]
        return (
            now
            if now["checkpoints"]["total"] > total and now["stale_since"] is None and now["health"] == "ok"
            else None
        )

    after = wait_for("checkpoints are counted on", 120, fresh)
    assert after["state"] == "protected"
    assert (after["epoch"], after["primary"], after["secondary"]) == (
        pair["epoch"],
        pair["primary"],
        pair["secondary"],
    )


def test_figures_that_nobody_renews_are_said_to_be_stale(cloud, pair, lab):
    engine = lab.service("engine")
    engine.stop()
    try:
        stale = wait_for("stale figures", 60, lambda: cloud.pairs()["web-1"]["stale_since"])
        assert stale.endswith("Z")
    finally:
        engine.start()
    wait_for("fresh figures", 60, lambda: cloud.pairs()["web-1"]["stale_since"] is None)


def test_a_host_whose_agent_is_away_for_a_moment_is_not_forced_down(cloud, pair, lab):
    old, new = pair["primary"]["host"], pair["secondary"]["host"]
    # frozen and not stopped, since its start may take longer than the engine waits
    agent = lab.service(f"{old}-agent").status().pid
    os.killpg(agent, signal.SIGSTOP)
    try:
        wait_for("the engine misses it", 60, lambda: cloud.pairs()["web-1"]["health"] != "ok")
        cloud.act(pair["server_id"], {"failover": None})
        wait_for("the secondary has taken over", 60, lambda: cloud.pairs()["web-1"]["epoch"] > pair["epoch"])
    finally:
        os.killpg(agent, signal.SIGCONT)
    cloud.failed_over("web-1", pair)
    assert cloud.protected("web-1")["primary"]["host"] == new
    assert not any(
        host["fenced_since"] for host in cloud.request("GET", "/os-fault-tolerance/hosts").json()["hosts"]
    )
    assert placed_on(cloud, "web-1") == new
