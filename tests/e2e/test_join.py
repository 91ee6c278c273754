# SPDX-License-Identifier: Apache-2.0
"""FT servers of a real cloud: stock Nova, Neutron, libvirt and QEMU, and one connection that outlives hosts.

One server lives through all of it. The tests follow on each other.
"""

from collections.abc import Callable

from lab import Lab
from tests.e2e.server import FtServer


def test_an_ft_server_is_protected_with_nobody_asking(server: FtServer) -> None:
    server.is_whole()


def test_a_server_with_a_config_drive_is_protected_and_failed_over(make_server: Callable[..., FtServer]) -> None:
    server = make_server("--config-drive", "True")
    server.use()
    server.is_whole()
    before = server.pair()
    server.act("failover")
    server.failed_over(before)
    server.is_whole()
    server.act("reboot", {"type": "HARD"})  # by which Nova shows that it has all that it needs there
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


def test_ten_failovers_in_a_row(server: FtServer) -> None:
    for _ in range(10):
        before = server.pair()
        server.act("failover")
        server.failed_over(before)
        server.goes_on()
    server.is_whole()
