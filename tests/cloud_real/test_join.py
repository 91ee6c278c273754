# SPDX-License-Identifier: Apache-2.0
"""FT servers in a real cloud: stock Nova, Neutron, libvirt and QEMU, and one connection across host losses.

The tests depend on each other, in order.
"""

import re
from collections import Counter
from collections.abc import Callable

import pytest

from lab import Lab
from tests.cloud_real.nova_server import PATIENCE
from tests.cloud_real.server import FtServer
from tests.fixtures.cloud import Cloud, wait_for

#: nova-compute's periodic tasks that end guests, or remove files, which they do not know.
PERIODIC_TASKS = ("_sync_power_states", "_cleanup_running_deleted_instances", "_run_image_cache_manager_pass")


def test_an_ft_server_is_protected_with_nobody_asking(server: FtServer) -> None:
    server.is_whole()


def test_a_server_with_a_config_drive_and_two_nics_gets_others_while_it_is_not_protected(
    make_server: Callable[..., FtServer], cloud: Cloud
) -> None:
    server = make_server(config_drive=True, nics=2)
    server.use()
    server.is_whole()
    before = server.pair()
    server.act("failover")
    server.failed_over(before)
    server.is_whole()
    first, second = sorted(server.ports(), key=lambda port: port["mac_address"] != server.mac)
    interfaces = f"/servers/{server.id}/os-interface"
    assert cloud.request("DELETE", f"{interfaces}/{second['id']}").status_code == 409
    server.act("ft-unprotect")
    server.in_state("unprotected")
    assert cloud.request("DELETE", f"{interfaces}/{second['id']}").status_code == 202
    wait_for("it is detached", PATIENCE, lambda: len(server.ports()) == 1)
    attached = cloud.request("POST", interfaces, json={"interfaceAttachment": {}})
    assert attached.status_code == 200, attached.text
    server.note_identity()
    server.act("ft-protect")
    server.use()
    server.is_whole()
    before = server.pair()
    server.kill_qemu(before["primary"]["host"])
    server.failed_over(before)
    server.is_whole()
    assert {port["id"] for port in server.ports()} == {
        first["id"],
        attached.json()["interfaceAttachment"]["port_id"],
    }
    server.act("reboot", {"type": "HARD"})  # shows that Nova has all that it needs on this host
    server.in_status("ACTIVE")
    server.use()
    server.is_whole()
    server.delete()


def test_the_qemu_of_the_primary_is_killed(server: FtServer) -> None:
    before = server.pair()
    server.kill_qemu(before["primary"]["host"])
    after = server.failed_over(before)
    assert after["primary"]["host"] == before["secondary"]["host"]
    server.is_whole()


def test_a_planned_failover(server: FtServer) -> None:
    before = server.pair()
    server.act("failover")
    after = server.failed_over(before)
    assert after["primary"]["host"] == before["secondary"]["host"]
    server.is_whole()


def test_the_primarys_host_loses_its_power_and_comes_back(server: FtServer, lab: Lab) -> None:
    before = server.pair()
    dead = before["primary"]["host"]
    lab.host(dead).kill()
    after = server.failed_over(before)
    assert after["primary"]["host"] == before["secondary"]["host"]
    assert dead not in (after["primary"]["host"], after["secondary"]["host"])
    server.is_whole(off=(dead,))
    lab.host(dead).start()
    server.is_up(dead)
    server.is_whole()


def test_the_secondarys_host_loses_its_power_and_comes_back(server: FtServer, lab: Lab) -> None:
    before = server.pair()
    dead = before["secondary"]["host"]
    lab.host(dead).kill()
    after = server.moved(before)
    assert after["primary"]["host"] == before["primary"]["host"]
    server.is_whole(off=(dead,))
    lab.host(dead).start()
    server.is_up(dead)
    server.is_whole()


def test_a_test_failover_goes_there_and_back(server: FtServer) -> None:
    before = server.pair()
    server.act("ft-test-failover", {"return": True})
    after = server.failed_over(before, times=2)
    assert (after["primary"]["host"], after["epoch"]) == (before["primary"]["host"], before["epoch"] + 2)
    server.is_whole()


def test_the_secondary_is_moved(server: FtServer) -> None:
    before = server.pair()
    server.act("ft-migrate-secondary", {"host": None})
    after = server.moved(before)
    assert after["primary"]["host"] == before["primary"]["host"]
    server.is_whole()


@pytest.mark.long
def test_ten_failovers_in_a_row(server: FtServer) -> None:
    for _ in range(10):
        before = server.pair()
        server.act("failover")
        server.failed_over(before)
        server.goes_on()
    server.is_whole()


def test_novas_periodic_tasks_leave_it_alone(server: FtServer, lab: Lab) -> None:
    before = server.pair()
    both = [before[replica]["host"] for replica in ("primary", "secondary")]
    begun = {host: runs(lab, host) for host in both}

    def have_run_twice() -> bool:
        return all((runs(lab, host) - begun[host])[task] > 2 for host in both for task in PERIODIC_TASKS)

    wait_for("each task has run twice", PATIENCE, have_run_twice)
    after = server.pair()
    assert [after[name] for name in ("epoch", "primary", "secondary")] == [
        before[name] for name in ("epoch", "primary", "secondary")
    ]
    server.is_whole()


def runs(lab: Lab, host: str) -> Counter[str]:
    """Return how often each periodic task of a host's nova-compute has begun."""
    log = lab.layout.log(f"{host}-nova-compute").read_text(errors="replace")
    return Counter(re.findall(r"Running periodic task ComputeManager\.(\w+)", log))
