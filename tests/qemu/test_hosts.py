# SPDX-License-Identifier: Apache-2.0
"""The hosts with real QEMU have the properties that tests of fault tolerance assume."""

import subprocess
import time
from collections.abc import Callable, Iterator

import libvirt
import pytest

from lab.core.errors import LabError, RefusalError
from lab.core.identity import ProcessStat
from lab.machines import Counting, Guest, Host, Link, Testbed
from tests.fixtures.cloud import wait_for
from tests.qemu.conftest import PREFIX

WEB = Guest("web", number=100, checked_pages=64)


@pytest.fixture(scope="module")
def hosts(testbed: Testbed) -> tuple[Host, Host]:
    return testbed.hosts["a"], testbed.hosts["b"]


@pytest.fixture(scope="module")
def domain(testbed: Testbed, hosts: tuple[Host, Host]) -> Iterator[libvirt.virDomain]:
    """Return a guest on host a that replies."""
    domain = hosts[0].start_guest(WEB)
    testbed.client.wait_for_answer(WEB.address)
    yield domain
    hosts[0].remove_guest(WEB)


@pytest.fixture
def counting(testbed: Testbed, domain: libvirt.virDomain) -> Iterator[Counting]:
    """Return a client of the guest that has received counts."""
    with testbed.client.count(WEB.address, "d") as counting:
        counting.wait_for_more()
        yield counting


def test_a_host_is_a_place_of_its_own(testbed: Testbed, hosts: tuple[Host, Host]) -> None:
    assert [host.run(["hostname"]).strip() for host in hosts] == ["compute-a", "compute-b"]
    for host in hosts:
        marker = testbed.instances / "marker"
        host.run(["sh", "-c", f"echo {host.name} >{marker}"])
        assert host.outside(marker).read_text() == f"{host.name}\n"


def test_each_host_has_its_own_libvirtd(hosts: tuple[Host, Host], domain: libvirt.virDomain) -> None:
    assert [[domain.name() for domain in host.connect().listAllDomains()] for host in hosts] == [
        [WEB.name],
        [],
    ]


def test_libvirtd_is_reached_from_inside_of_its_host(hosts: tuple[Host, Host]) -> None:
    program = "import libvirt; print(libvirt.open('qemu:///system').getHostname())"
    python = str(PREFIX.parent / "venv" / "bin" / "python")
    assert [host.run([python, "-c", program]).strip() for host in hosts] == ["compute-a", "compute-b"]


def test_nobody_else_may_use_the_same_hosts(testbed: Testbed) -> None:
    with pytest.raises(RefusalError, match="another process uses"):
        Testbed(PREFIX, hosts=("a",)).up()


def test_a_guest_counts_over_one_connection(testbed: Testbed, counting: Counting) -> None:
    counting.wait_for_more(50)
    stats = counting.stats()
    assert (stats.contiguous, stats.error) == (True, None)
    assert 0 < stats.p50_ms <= stats.p99_ms <= stats.max_ms
    assert testbed.client.ask(WEB.address, "v").startswith("ok ")
    assert testbed.client.ask(WEB.address, "m 4") == "m 4"


def test_what_a_guest_counts_is_on_its_disk(
    testbed: Testbed, hosts: tuple[Host, Host], domain: libvirt.virDomain
) -> None:
    counter, _ = testbed.client.ask(WEB.address, "d").split()
    [disk] = WEB.disk_paths(testbed.instances)
    with hosts[0].outside(disk).open("rb") as handle:
        handle.seek(1 << 20)
        assert handle.read(32).split(b"\0")[0].decode() == counter


def test_a_guests_memory_is_checked_all_the_time(testbed: Testbed, domain: libvirt.virDomain) -> None:
    first = testbed.client.ask(WEB.address, "r")
    assert first.endswith(" errors 0")
    assert _comes_true(lambda: testbed.client.ask(WEB.address, "r") != first, seconds=20.0)


def test_two_questions_for_the_clock_are_answered_differently(
    testbed: Testbed, domain: libvirt.virDomain
) -> None:
    assert testbed.client.ask(WEB.address, "t") != testbed.client.ask(WEB.address, "t")


@pytest.mark.parametrize("cut", [Link.cut, Link.cut_incoming, Link.cut_outgoing])
def test_a_cut_of_the_replication_link_is_silent_and_heals(
    hosts: tuple[Host, Host], cut: Callable[[Link], None]
) -> None:
    one, other = hosts
    assert one.reaches(other)
    cut(one.replication)
    try:
        assert not one.reaches(other)
        assert not other.reaches(one)
        assert "NO-CARRIER" not in one.run(["ip", "link", "show", "repl"])
    finally:
        one.replication.restore()
    assert one.reaches(other)
    assert other.reaches(one)


def test_a_cut_of_one_direction_leaves_the_other(hosts: tuple[Host, Host]) -> None:
    one, other = hosts
    one.replication.cut_incoming()
    try:
        before = [_frames_received(host) for host in hosts]
        one.reaches(other)
        after = [_frames_received(host) for host in hosts]
    finally:
        one.replication.restore()
    assert after[0] == before[0]
    assert after[1] > before[1]


def test_a_guest_outlives_a_cut_of_its_network(
    testbed: Testbed, hosts: tuple[Host, Host], counting: Counting
) -> None:
    begun = time.time()
    hosts[0].guest_network.cut()
    with pytest.raises(LabError, match="did not answer"):
        testbed.client.ask(WEB.address, "i", seconds=1.0)
    hosts[0].guest_network.restore()
    counting.wait_for_more()
    stats = counting.stats(since=begun)
    assert (stats.contiguous, stats.error) == (True, None)
    assert stats.max_gap_s > 0.9


def test_a_guest_goes_on_while_libvirtd_restarts(hosts: tuple[Host, Host], counting: Counting) -> None:
    pid = hosts[0].qemu_pid(WEB.name)
    hosts[0].restart_libvirtd()
    hosts[0].kill_libvirtd()
    counting.wait_for_more()
    hosts[0].start_libvirtd()
    assert hosts[0].connect().lookupByName(WEB.name).isActive()
    assert hosts[0].qemu_pid(WEB.name) == pid
    assert (counting.stats().contiguous, counting.stats().error) == (True, None)


def test_a_frozen_host_goes_on_where_it_stopped(hosts: tuple[Host, Host], counting: Counting) -> None:
    hosts[0].freeze()
    try:
        answers = counting.stats().answers
        assert not _comes_true(lambda: counting.stats().answers > answers + 1, seconds=1.0)
    finally:
        hosts[0].thaw()
    counting.wait_for_more()
    assert (counting.stats().contiguous, counting.stats().error) == (True, None)


def test_a_power_cut_ends_a_guest_and_leaves_its_disk(
    testbed: Testbed, hosts: tuple[Host, Host], counting: Counting
) -> None:
    one, other = hosts
    pid = one.qemu_pid(WEB.name)
    assert pid is not None
    one.power_cut()
    assert not one.is_on()
    assert ProcessStat.of(pid) is None
    assert not other.reaches(one)
    with pytest.raises(LabError, match="is powered off"):
        one.command(["true"])
    one.power_on()
    assert wait_for("it answers again", 30, lambda: other.reaches(one))
    assert one.qemu_pid(WEB.name) is None
    # Silence and no reset: the guest's client gets no notice of it.
    assert counting.stats().error is None
    domain = one.connect().lookupByName(WEB.name)
    assert not domain.isActive()
    domain.create()
    testbed.client.wait_for_answer(WEB.address)
    assert testbed.client.ask(WEB.address, "v").startswith("ok ")


@pytest.mark.parametrize("bus", ["virtio", "scsi"])
def test_a_guest_may_have_several_of_everything(testbed: Testbed, hosts: tuple[Host, Host], bus: str) -> None:
    guest = Guest(f"several-{bus}", number=101, disks=3, bus=bus, nics=2, vcpus=2, checked_pages=64)
    domain = hosts[1].start_guest(guest)
    try:
        for address in guest.addresses:
            testbed.client.wait_for_answer(address)
            testbed.client.ask(address, "d")
        assert testbed.client.ask(guest.address, "v").startswith("ok ")
        for disk in guest.disk_paths(testbed.instances):
            with hosts[1].outside(disk).open("rb") as handle:
                handle.seek(1 << 20)
                assert handle.read(2) == b"2\0"
        assert domain.vcpusFlags() == 2
    finally:
        hosts[1].remove_guest(guest)
    assert hosts[1].connect().listAllDomains() == []


def test_what_a_killed_run_has_left_is_ended_by_the_next() -> None:
    prefix = PREFIX.with_name("test-colo-killed")
    bring_up = f"from lab.machines import Testbed; Testbed({str(prefix)!r}, hosts=('a',)).up()"
    program = f"{bring_up}; import os; os.kill(os.getpid(), 9)"
    python = str(PREFIX.parent / "venv" / "bin" / "python")
    subprocess.run([python, "-c", program], cwd=PREFIX.parents[1], check=False)
    testbed = Testbed(prefix, hosts=("a",))
    assert testbed.namespaces
    assert testbed.hosts["a"].is_on()
    testbed.down()
    assert not testbed.namespaces
    assert not testbed.hosts["a"].is_on()


def _frames_received(host: Host) -> int:
    """Return the number of frames that a host has received on the replication network."""
    return int(host.run(["cat", "/sys/class/net/repl/statistics/rx_packets"]))


def _comes_true(condition: Callable[[], bool], seconds: float) -> bool:
    """Return whether a condition holds within a time."""
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.05)
    return True
