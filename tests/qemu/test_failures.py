# SPDX-License-Identifier: Apache-2.0
"""Failures while a guest is protected: it runs on, the first error is reported, nothing is left over."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest

from lab.core.patience import patient
from lab.machines import Guest, Testbed, users
from lab.machines.host import BRIDGE
from nova_colo.agent.replication import ReplicationError
from nova_colo.conf import qemu
from nova_colo.standalone.pair import PairError
from tests.qemu.lives import OPTIONS, Life, small_file_system

PRIMARY, SECONDARY = "compute-a", "compute-b"
DEFAULTS = {option.dest: option.default for option in qemu.OPTS}


@pytest.fixture(scope="module")
def life(testbed: Testbed) -> Iterator[Life]:
    guest, host = Guest("unlucky", number=146), testbed.hosts["a"]
    host.create_disks(guest)
    (disk,) = guest.disk_paths(host.instances)
    with host.outside(disk).open("r+b") as file:  # zeros would take neither time nor space
        file.seek(guest.disk_bytes // 2)
        file.write(os.urandom(guest.disk_bytes // 2))
    life = Life(testbed, guest)
    yield life
    life.close()


@contextlib.contextmanager
def ports_are_taken(life: Life, name: str) -> Iterator[None]:
    """Listen on all of QEMU's ports of a host."""
    address, first, last = life.host(name).address, DEFAULTS["port_min"], DEFAULTS["port_max"]
    program = f"""
import signal, socket
taken = [socket.create_server(({address!r}, port)) for port in range({first}, {last} + 1)]
print("taken", flush=True)
signal.pause()
"""
    with subprocess.Popen(
        life.host(name).command(["python3", "-c", program]), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "taken\n"
        try:
            yield
        finally:
            process.terminate()


@contextlib.contextmanager
def the_bridge_is_missing(life: Life) -> Iterator[None]:
    host = life.host(SECONDARY)
    host.run(["ip", "link", "set", BRIDGE, "name", "elsewhere"])
    try:
        yield
    finally:
        host.run(["ip", "link", "set", "elsewhere", "name", BRIDGE])


@contextlib.contextmanager
def a_disk_is_there_that_is_smaller(life: Life) -> Iterator[None]:
    host = life.host(SECONDARY)
    (inside,) = life.guest.disk_paths(host.instances)
    disk = host.outside(inside)
    disk.parent.mkdir(exist_ok=True)
    disk.write_bytes(b"somebody else's" + bytes(4096))
    os.truncate(disk, life.guest.disk_bytes // 2)
    users.NOVA.own(disk.parent, disk)
    try:
        yield
        assert disk.read_bytes().startswith(b"somebody else's")
    finally:
        disk.unlink()


def there_is_no_space(life: Life) -> contextlib.AbstractContextManager[str]:
    return small_file_system(life, SECONDARY, "8m")


@contextlib.contextmanager
def the_link_is_cut(life: Life) -> Iterator[None]:
    link = life.host(SECONDARY).replication
    link.cut()
    try:
        yield
    finally:
        link.restore()


@contextlib.contextmanager
def the_network_is_slow(life: Life) -> Iterator[None]:
    """Slow down replication, so that a test can act during a stage."""
    primary = life.host(PRIMARY)
    primary.run(
        [
            "tc",
            "qdisc",
            "add",
            "dev",
            "repl",
            "root",
            "tbf",
            "rate",
            "200mbit",
            "burst",
            "1mb",
            "latency",
            "100ms",
        ]
    )
    try:
        yield
    finally:
        primary.run(["tc", "qdisc", "del", "dev", "repl", "root"])


def kill_secondary(life: Life) -> None:
    life.host(SECONDARY).kill_qemu(life.guest.name)


def freeze_secondary(life: Life) -> None:
    life.signal_qemu(SECONDARY, signal.SIGSTOP)


def cut_link(life: Life) -> None:
    life.host(SECONDARY).replication.cut()


def attempt(life: Life, stage: str | None = None, act: Callable[[Life], None] | None = None) -> str:
    """Try to protect the guest, which fails, and return the first error.

    :param stage: act when the progress has reached this stage
    """
    with pytest.raises((PairError, ReplicationError)) as failure:
        for progress in life.pair.protect(PRIMARY, SECONDARY, timeout=patient(90)):
            if act is not None and progress["stage"] == stage and progress["percent"]:
                act(life)
                act = None
    return str(failure.value)


def assert_untouched(life: Life) -> None:
    """Assert that the client noticed nothing, and that nothing is left of the pair."""
    life.goes_on()
    assert life.left() == {}


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (lambda life: ports_are_taken(life, PRIMARY), "No TCP ports are free from 10500 to 10999."),
        (lambda life: ports_are_taken(life, SECONDARY), "No TCP ports are free from 10500 to 10999."),
        (the_bridge_is_missing, f"{SECONDARY} cannot run the guest: Cannot get interface MTU on 'br-guest'"),
        (
            a_disk_is_there_that_is_smaller,
            "A disk of 33554432 bytes exists where 67108864 bytes are expected.",
        ),
        (the_link_is_cut, "The secondary's host does not answer on the replication network."),
        (there_is_no_space, "The copy of a disk to the secondary's host has failed."),
    ],
    ids=["ports on the primary", "ports on the secondary", "bridge", "disk", "link", "space"],
)
def test_what_is_wrong_from_the_start(life, trouble, words):
    with trouble(life):
        assert words in attempt(life)
        life.goes_on()
    assert_untouched(life)


@pytest.mark.parametrize(
    ("stage", "act", "words"),
    [
        ("copying disks", kill_secondary, "The copy of a disk to the secondary's host has failed."),
        ("copying disks", cut_link, "The secondary's host does not answer on the replication network."),
        ("sending memory", kill_secondary, "The guest's memory could not be sent to the secondary: "),
        ("sending memory", freeze_secondary, "Memory transfer stalled for "),
        ("sending memory", cut_link, "The secondary's host does not answer on the replication network."),
    ],
)
def test_what_goes_wrong_on_the_way(life, stage, act, words):
    with the_network_is_slow(life):
        try:
            assert words in attempt(life, stage, act)
        finally:
            life.host(SECONDARY).replication.restore()
    assert_untouched(life)


@contextlib.contextmanager
def memory_changes(life: Life) -> Iterator[None]:
    """Make the guest change much of its memory again and again."""
    ended = threading.Event()

    def change() -> None:
        while not ended.is_set():
            life.testbed.client.try_ask(life.guest.address, "m 16")

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_guest_that_changes_more_than_can_be_sent_is_not_paused_for_it(life):
    host = life.host(PRIMARY)
    limits = {"max_bandwidth": 8_000_000, "max_downtime": 0.2, "memory_timeout": 8}
    host.stop_agent()
    host.start_agent(qemu=OPTIONS | limits)
    try:
        with memory_changes(life):
            assert "changes its memory faster than it can be sent" in attempt(life)
    finally:
        host.stop_agent()
        host.start_agent(qemu=OPTIONS)
    assert_untouched(life)


def test_after_all_that_it_can_be_protected(life):
    life.protect(target=SECONDARY)
    life.goes_on()
