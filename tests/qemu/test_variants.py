# SPDX-License-Identifier: Apache-2.0
"""Pairs of several kinds, several at a time, and what is counted against what QEMU itself has said."""

import itertools
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import libvirt
import libvirt_qemu
import pytest

from lab.machines import Guest, Host, Testbed
from tests.qemu.lives import OPTIONS, PATIENCE, Life, listening

VARIANTS = [
    Guest("wide", number=120, disks=2, bus="virtio", nics=2, vcpus=2),
    Guest("scsi", number=121, disks=2, bus="scsi"),
]


@pytest.mark.parametrize("guest", VARIANTS, ids=lambda guest: guest.name)
def test_a_pair_with_more_than_one_of_each_survives_the_loss_of_its_primary(
    bed: Testbed, guest: Guest
) -> None:
    life = Life(bed, guest)
    try:
        for _ in range(2):
            pair = life.protect()
            for mode in ("checkpoint", "colo"):
                life.pair.set_mode(pair, mode, 200)
                for address in guest.addresses:
                    assert life.bed.client.ask(address, "v").startswith("ok")
            life.host(pair.primary).kill_qemu(guest.name)
            life.wait_for_loss(pair.secondary or "")
            life.take_over(pair)
            life.goes_on()
            for address in guest.addresses:
                assert life.bed.client.ask(address, "v").startswith("ok")
            life.discard(pair.primary or "")
    finally:
        life.close()


def test_several_pairs_share_two_hosts_and_one_is_none_of_the_others_business(bed: Testbed) -> None:
    lives = [Life(bed, Guest(f"many-{number}", number=130 + number)) for number in range(3)]
    try:
        pairs = [life.protect(target="compute-b") for life in lives]
        ports = [port for host in ("a", "b") for port in listening(bed.hosts[host])]
        assert len(ports) == len(set(ports)) >= 3 * 4
        lives[0].host("compute-a").kill_qemu(lives[0].guest.name)
        lives[0].wait_for_loss("compute-b")
        lives[0].take_over(pairs[0])
        for life in lives:
            life.goes_on()
        assert all(life.replica("compute-a")["link_up"] for life in lives[1:])
    finally:
        for life in lives:
            life.close()


@pytest.fixture
def trace() -> Iterator["Trace"]:
    made = Trace()
    yield made
    made.close()


class Trace:
    """What a QEMU says to somebody who has nothing to do with the agent."""

    def __init__(self) -> None:
        self.events: list[tuple[float, str]] = []
        self._connection: libvirt.virConnect | None = None
        libvirt.virEventRegisterDefaultImpl()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def listen(self, host: Host, guest: Guest) -> None:
        self._connection = host.connect()
        domain = self._connection.lookupByUUIDString(guest.uuid)
        libvirt_qemu.qemuMonitorEventRegister(self._connection, domain, None, self._heard, None, 0)
        self._thread.start()

    def _run(self) -> None:
        timer = libvirt.virEventAddTimeout(100, lambda timer, opaque: None, None)
        while not self._ends.is_set():
            libvirt.virEventRunDefaultImpl()
        libvirt.virEventRemoveTimeout(timer)

    def _heard(self, connection, domain, event, seconds, micros, details, opaque) -> None:
        self.events.append((seconds + micros / 1e6, event))

    def checkpoints(self) -> int:
        """Return how many times it has stopped and run again."""
        said = [event for _, event in self.events if event in ("STOP", "RESUME")]
        return sum(pair == ("STOP", "RESUME") for pair in itertools.pairwise(said))

    def close(self) -> None:
        self._ends.set()
        self._thread.join()


def test_what_is_counted_is_what_qemu_has_said_and_by_the_right_cause(bed: Testbed, trace: Trace) -> None:
    life = Life(bed, Guest("counted", number=140), command="i")
    try:
        pair = life.protect()
        primary = pair.primary or ""
        trace.listen(life.host(primary), life.guest)
        before = life.replica(primary)["checkpoints"]
        # nobody asks for what differs: the timer alone
        idle = life.wait(
            "periodic ones",
            lambda: (
                (now := life.replica(primary)["checkpoints"])["periodic"] >= before["periodic"] + 3 and now
            ),
        )
        assert idle["forced"] == before["forced"]
        for _ in range(5):
            life.bed.client.ask(life.guest.address, "t")
        life.wait("mismatches", lambda: life.replica(primary)["checkpoints"]["mismatch"] > idle["mismatch"])
        life.pair.set_mode(pair, "colo", 200)  # the delay is set anew, which forces one
        forced = life.wait(
            "a forced one",
            lambda: (now := life.replica(primary)["checkpoints"])["forced"] > idle["forced"] and now,
        )
        assert forced["forced"] == idle["forced"] + 1

        life.wait("as many as QEMU has said", lambda: agrees(life, primary, trace, before["total"]))
        assert json.dumps(life.replica(primary))
    finally:
        life.close()


def agrees(life: Life, primary: str, trace: Trace, before: int) -> bool:
    """Return whether as many checkpoints are counted as somebody else has heard of, give or take one that is under way."""
    seen = trace.checkpoints()
    counted = life.replica(primary)["checkpoints"]["total"] - before
    return abs(counted - seen) <= 1 and seen == trace.checkpoints()


#: Checkpoints while nobody listens.
UNHEARD = 4


def test_checkpoints_are_counted_that_were_taken_while_nobody_listened(bed: Testbed, trace: Trace) -> None:
    life = Life(bed, Guest("unheard", number=141), command="i")
    try:
        pair = life.protect()
        primary, secondary = life.host(pair.primary), life.host(pair.secondary)
        trace.listen(secondary, life.guest)  # the two synchronise together, so that its QEMU says as much
        before = life.replica(primary.hostname)["checkpoints"]

        def unheard() -> None:
            seen = trace.checkpoints()
            life.wait("some that the agent does not hear of", lambda: trace.checkpoints() >= seen + UNHEARD)

        primary.kill_agent()
        unheard()
        primary.start_agent(qemu=OPTIONS)
        life.wait("as many as QEMU has said", lambda: agrees(life, primary.hostname, trace, before["total"]))
        primary.kill_libvirtd()
        unheard()
        primary.start_libvirtd()
        life.wait("as many as QEMU has said", lambda: agrees(life, primary.hostname, trace, before["total"]))
        after = life.replica(primary.hostname)["checkpoints"]
        # mismatches may be heard of in between, on a slow machine; what nobody heard of counts as what is the most likely
        assert after["periodic"] - before["periodic"] >= 2 * (UNHEARD - 1)  # one may be under way each time
        assert after["forced"] == before["forced"]
    finally:
        life.close()


#: Longer than the other host would wait for a checkpoint until it took the link for stuck: ten seconds after one was due.
SLOW_MS = 13000


def test_hosts_that_are_configured_differently_go_by_the_primarys_pace(bed: Testbed) -> None:
    life = Life(bed, Guest("slow", number=142), command="i")
    try:
        life.host("compute-a").start_agent(qemu={**OPTIONS, "checkpoint_delay": SLOW_MS})
        pair = life.protect(target="compute-b")
        before = life.replica("compute-a")["checkpoints"]["periodic"]

        def is_taken() -> bool:
            other = life.replica(pair.secondary or "")
            assert other["link_up"], other
            return life.replica("compute-a")["checkpoints"]["periodic"] > before

        life.wait("a periodic checkpoint", is_taken)
    finally:
        life.close()


#: So long that no checkpoint is taken but those that are asked for.
RARE_MS = 60000
RARE = {**OPTIONS, "checkpoint_delay": RARE_MS}


def ask(life: Life, host: str | None, command: str, **arguments: Any) -> Any:
    """Ask the QEMU of a host."""
    domain = life.host(host).connect().lookupByUUIDString(life.guest.uuid)
    return json.loads(
        libvirt_qemu.qemuMonitorCommand(domain, json.dumps({"execute": command, "arguments": arguments}), 0)
    )["return"]


def card(life: Life, host: str | None) -> tuple[bool, bool]:
    """Return whether QEMU has switched the guest's network card off, and whether the guest uses it."""
    (path,) = (
        device["path"] for device in ask(life, host, "x-query-virtio") if device["name"] == "virtio-net"
    )
    seen = ask(life, host, "x-query-virtio-status", path=path)
    return seen["disabled"], any(
        status.startswith("VIRTIO_CONFIG_S_DRIVER_OK") for status in seen["status"]["statuses"]
    )


def take_checkpoint(life: Life, host: str | None) -> None:
    """Ask the QEMU of a primary for one: it takes one when its pace is set."""
    ask(life, host, "migrate-set-parameters", **{"x-checkpoint-delay": RARE_MS})


def is_seen_soon(look: Callable[[], bool]) -> bool:
    """Return whether something is seen that lasts for as long as a guest boots."""
    deadline = time.monotonic() + 3
    while not (seen := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return seen


def test_a_guest_that_boots_again_answers_on_both_replicas(bed: Testbed) -> None:
    life = Life(bed, Guest("reboots", number=145), command="i", options=RARE)
    try:
        pair = life.protect()

        def boots_and_is_seen() -> bool:
            ask(life, pair.primary, "system_reset")
            life.wait(
                "the guest has its card off, as one that boots has",
                lambda: card(life, pair.primary) == (True, False),
            )
            take_checkpoint(life, pair.primary)
            return is_seen_soon(lambda: card(life, pair.secondary) == (True, False))

        life.wait("the twin has its card off, too", boots_and_is_seen)
        life.wait("the checkpoint is over", lambda: ask(life, pair.primary, "query-status")["running"])
        # the twin stands still until the guest has its card on again, so that it comes to that by a checkpoint and not by itself
        life.signal_qemu(pair.secondary, signal.SIGSTOP)
        life.wait("the guest has its card on", lambda: card(life, pair.primary) == (False, True))
        take_checkpoint(life, pair.primary)
        life.signal_qemu(pair.secondary, signal.SIGCONT)
        life.wait("the twin has its card on, too", lambda: card(life, pair.secondary) == (False, True))
        life.wait("all is well", lambda: not life.replica(pair.secondary or "")["reasons"])
        life.host(pair.primary).kill_qemu(life.guest.name)
        life.wait_for_loss(pair.secondary or "")
        life.take_over(pair)
        bed.client.wait_for_answer(life.guest.address, PATIENCE)
    finally:
        life.close()


@pytest.fixture(scope="module")
def rare(bed: Testbed) -> Iterator[Life]:
    """A guest whose pair takes no checkpoint by itself."""
    life = Life(bed, Guest("fresh", number=143), command="i", options=RARE)
    yield life
    life.close()


def test_a_connection_that_was_opened_since_the_last_checkpoint_survives_planned_failovers(
    bed: Testbed, rare: Life
) -> None:
    pair = rare.protect()
    with bed.client.count(rare.guest.address) as counting:
        counting.wait_for_more(1)
        for _ in range(2):
            rare.pair.fail_over(pair)
            rare.on = pair.secondary or ""
            pair = rare.protect()
            counting.wait_for_more(10)
        seen = counting.stats()
    assert (seen.error, seen.contiguous) == (None, True), seen


def test_a_connection_that_was_opened_since_the_last_checkpoint_survives_the_loss_of_the_primary(
    bed: Testbed, rare: Life
) -> None:
    pair = rare.protect()
    with bed.client.count(rare.guest.address) as counting:
        counting.wait_for_more(1)
        rare.host(pair.primary).kill_qemu(rare.guest.name)
        rare.wait_for_loss(pair.secondary or "")
        rare.take_over(pair)
        counting.wait_for_more(10)
        seen = counting.stats()
    assert (seen.error, seen.contiguous) == (None, True), seen
