# SPDX-License-Identifier: Apache-2.0
"""Variants of pairs, several pairs at a time, and checkpoint counts compared with QEMU's events."""

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
from os_vif import objects

from lab.machines import Guest, Host, Testbed, users
from nova_colo.agent.replication import ReplicationError
from nova_colo.hoststate import vifs
from tests.qemu.lives import OPTIONS, PATIENCE, Life, listening

VARIANTS = [
    Guest("wide", number=120, disks=2, bus="virtio", nics=2, vcpus=2),
    Guest("scsi", number=121, disks=2, bus="scsi"),
]


@pytest.mark.parametrize("guest", VARIANTS, ids=lambda guest: guest.name)
def test_a_pair_with_more_than_one_of_each_survives_the_loss_of_its_primary(
    testbed: Testbed, guest: Guest
) -> None:
    life = Life(testbed, guest)
    try:
        for _ in range(2):
            pair = life.protect()
            for mode in ("checkpoint", "colo"):
                life.pair.set_mode(pair, mode, 200)
                for address in guest.addresses:
                    assert life.testbed.client.ask(address, "v").startswith("ok")
            life.host(pair.primary).kill_qemu(guest.name)
            life.wait_for_loss(pair.secondary or "")
            life.take_over(pair)
            life.goes_on()
            for address in guest.addresses:
                assert life.testbed.client.ask(address, "v").startswith("ok")
            life.discard(pair.primary or "")
    finally:
        life.close()


def test_a_promoted_guest_gets_a_secondary_though_nova_has_not_plugged_its_vifs(testbed: Testbed) -> None:
    vifs.prepare()
    life = Life(testbed, Guest("unplugged", number=123))
    stores = {name: vifs.VifStore(str(host.state_path)) for name, host in life.hosts.items()}
    server = objects.instance_info.InstanceInfo(uuid=life.guest.uuid, name=life.guest.name)
    vif = objects.vif.VIFBridge(id="9c3b6f8a-2b51-4b9e-8f9b-4f0f7a3c2f11", plugin="noop", bridge_name="br0")
    try:
        stores["compute-a"].put(server, [vif])
        users.NOVA.own_all(life.host("compute-a").state_path)  # written by root
        recorded = stores["compute-a"].get(life.guest.uuid)
        life.fail_over_to("compute-b")
        assert stores["compute-b"].get(life.guest.uuid) == recorded
        life.discard("compute-a")
        life.fail_over_to("compute-c")
        assert stores["compute-c"].get(life.guest.uuid) == recorded
        life.goes_on()
    finally:
        life.close()
        for store in stores.values():
            store.delete(life.guest.uuid)


def test_several_pairs_share_two_hosts_and_one_is_none_of_the_others_business(testbed: Testbed) -> None:
    lives = [Life(testbed, Guest(f"many-{number}", number=130 + number)) for number in range(3)]
    try:
        pairs = [life.protect(target="compute-b") for life in lives]
        ports = [port for host in ("a", "b") for port in listening(testbed.hosts[host])]
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
    trace = Trace()
    yield trace
    trace.close()


class Trace:
    """QEMU's events, received independently of the agent."""

    def __init__(self) -> None:
        self.events: list[tuple[float, str]] = []
        self._connection: libvirt.virConnect | None = None
        libvirt.virEventRegisterDefaultImpl()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def listen(self, host: Host, guest: Guest) -> None:
        self._connection = host.connect()
        domain = self._connection.lookupByUUIDString(guest.uuid)
        libvirt_qemu.qemuMonitorEventRegister(self._connection, domain, None, self._on_event, None, 0)
        self._thread.start()

    def _run(self) -> None:
        timer = libvirt.virEventAddTimeout(100, lambda timer, opaque: None, None)
        while not self._ends.is_set():
            libvirt.virEventRunDefaultImpl()
        libvirt.virEventRemoveTimeout(timer)

    def _on_event(self, connection, domain, event, seconds, micros, details, opaque) -> None:
        self.events.append((seconds + micros / 1e6, event))

    def checkpoints(self) -> int:
        """Return the number of STOP events followed by a RESUME."""
        events = [event for _, event in self.events if event in ("STOP", "RESUME")]
        return sum(pair == ("STOP", "RESUME") for pair in itertools.pairwise(events))

    def close(self) -> None:
        self._ends.set()
        self._thread.join()


def test_what_is_counted_is_what_qemu_has_said_and_by_the_right_cause(testbed: Testbed, trace: Trace) -> None:
    life = Life(testbed, Guest("counted", number=140), command="i")
    try:
        pair = life.protect()
        primary = pair.primary or ""
        trace.listen(life.host(primary), life.guest)
        before = life.replica(primary)["checkpoints"]
        # no requests whose replies differ: only the timer takes checkpoints
        idle = life.wait(
            "periodic checkpoints",
            lambda: (
                (now := life.replica(primary)["checkpoints"])["periodic"] >= before["periodic"] + 3 and now
            ),
        )
        assert idle["forced"] == before["forced"]
        for _ in range(5):
            life.testbed.client.ask(life.guest.address, "t")
        life.wait("mismatches", lambda: life.replica(primary)["checkpoints"]["mismatch"] > idle["mismatch"])
        life.pair.set_mode(pair, "colo", 200)  # the delay is set again, which forces a checkpoint
        forced = life.wait(
            "a forced checkpoint",
            lambda: (now := life.replica(primary)["checkpoints"])["forced"] > idle["forced"] and now,
        )
        assert forced["forced"] == idle["forced"] + 1

        life.wait("agent and trace agree", lambda: agrees(life, primary, trace, before["total"]))
        assert json.dumps(life.replica(primary))
    finally:
        life.close()


def agrees(life: Life, primary: str, trace: Trace, before: int) -> bool:
    """Return whether agent and trace have the same count, but for one checkpoint in progress."""
    traced = trace.checkpoints()
    counted = life.replica(primary)["checkpoints"]["total"] - before
    return abs(counted - traced) <= 1 and traced == trace.checkpoints()


#: Checkpoints that are taken while no agent listens.
UNHEARD = 4


def test_checkpoints_are_counted_that_were_taken_while_nobody_listened(
    testbed: Testbed, trace: Trace
) -> None:
    life = Life(testbed, Guest("unheard", number=141), command="i")
    try:
        pair = life.protect()
        primary, secondary = life.host(pair.primary), life.host(pair.secondary)
        trace.listen(
            secondary, life.guest
        )  # both replicas take each checkpoint, so that it has the same count
        before = life.replica(primary.hostname)["checkpoints"]

        def unheard() -> None:
            traced = trace.checkpoints()
            life.wait("checkpoints without the agent", lambda: trace.checkpoints() >= traced + UNHEARD)

        primary.kill_agent()
        unheard()
        primary.start_agent(qemu=OPTIONS)
        life.wait("agent and trace agree", lambda: agrees(life, primary.hostname, trace, before["total"]))
        primary.kill_libvirtd()
        unknown = life.wait(
            "it is reported that nothing is known",
            lambda: (replica := life.replica(primary.hostname)) and replica["silent"] and replica,
        )
        assert unknown["running"]
        assert testbed.agents.call(primary.hostname, "live_status", server_id=life.guest.uuid)["silent"]
        with pytest.raises(ReplicationError):
            testbed.agents.call(primary.hostname, "release", server_id=life.guest.uuid)
        unheard()
        primary.start_libvirtd()
        life.wait("agent and trace agree", lambda: agrees(life, primary.hostname, trace, before["total"]))
        after = life.replica(primary.hostname)["checkpoints"]
        # a slow machine may also have counted mismatches; uncounted checkpoints count with the most likely
        # cause
        assert after["periodic"] - before["periodic"] >= 2 * (UNHEARD - 1)  # one may be in progress each time
        assert after["forced"] == before["forced"]
    finally:
        life.close()


#: Longer than the secondary would wait before it reports the link as stuck: ten seconds after a due
#: checkpoint.
SLOW_MS = 13000


def test_hosts_that_are_configured_differently_go_by_the_primarys_pace(testbed: Testbed) -> None:
    life = Life(testbed, Guest("slow", number=142), command="i")
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


#: So long that only requested checkpoints are taken.
RARE_MS = 60000
RARE = {**OPTIONS, "checkpoint_delay": RARE_MS}


def ask(life: Life, host: str | None, command: str, **arguments: Any) -> Any:
    """Send a QMP command to the QEMU of a host."""
    domain = life.host(host).connect().lookupByUUIDString(life.guest.uuid)
    return json.loads(
        libvirt_qemu.qemuMonitorCommand(domain, json.dumps({"execute": command, "arguments": arguments}), 0)
    )["return"]


def nic_state(life: Life, host: str | None) -> tuple[bool, bool]:
    """Return whether QEMU has disabled the guest's NIC, and whether the guest uses it."""
    (path,) = (
        device["path"] for device in ask(life, host, "x-query-virtio") if device["name"] == "virtio-net"
    )
    status_reply = ask(life, host, "x-query-virtio-status", path=path)
    return status_reply["disabled"], any(
        status.startswith("VIRTIO_CONFIG_S_DRIVER_OK") for status in status_reply["status"]["statuses"]
    )


def take_checkpoint(life: Life, host: str | None) -> None:
    """Request a checkpoint: a primary takes one when its checkpoint parameters are set."""
    ask(life, host, "migrate-set-parameters", **{"x-checkpoint-delay": RARE_MS})


def comes_true(look: Callable[[], bool]) -> bool:
    """Return whether a condition holds within the time that a guest takes to boot."""
    deadline = time.monotonic() + 3
    while not (holds := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds


def test_a_guest_that_boots_again_answers_on_both_replicas(testbed: Testbed) -> None:
    life = Life(testbed, Guest("reboots", number=145), command="i", options=RARE)
    try:
        pair = life.protect()

        def boots_and_is_seen() -> bool:
            ask(life, pair.primary, "system_reset")
            life.wait(
                "QEMU has disabled the NIC, since the guest boots",
                lambda: nic_state(life, pair.primary) == (True, False),
            )
            take_checkpoint(life, pair.primary)
            return comes_true(lambda: nic_state(life, pair.secondary) == (True, False))

        life.wait("the secondary's NIC is disabled, too", boots_and_is_seen)
        life.wait("the checkpoint is over", lambda: ask(life, pair.primary, "query-status")["running"])
        # the secondary stays paused until the guest uses its NIC again, so that it learns this from a
        # checkpoint
        life.signal_qemu(pair.secondary, signal.SIGSTOP)
        life.wait("the guest uses its NIC", lambda: nic_state(life, pair.primary) == (False, True))
        take_checkpoint(life, pair.primary)
        life.signal_qemu(pair.secondary, signal.SIGCONT)
        life.wait(
            "the secondary's NIC is enabled, too", lambda: nic_state(life, pair.secondary) == (False, True)
        )
        life.wait("all is well", lambda: not life.replica(pair.secondary or "")["reasons"])
        life.host(pair.primary).kill_qemu(life.guest.name)
        life.wait_for_loss(pair.secondary or "")
        life.take_over(pair)
        testbed.client.wait_for_answer(life.guest.address, PATIENCE)
    finally:
        life.close()


@pytest.fixture(scope="module")
def rare(testbed: Testbed) -> Iterator[Life]:
    """Return a guest whose pair takes only requested checkpoints."""
    life = Life(testbed, Guest("fresh", number=143), command="i", options=RARE)
    yield life
    life.close()


def test_a_connection_that_was_opened_since_the_last_checkpoint_survives_planned_failovers(
    testbed: Testbed, rare: Life
) -> None:
    pair = rare.protect()
    with testbed.client.count(rare.guest.address) as counting:
        counting.wait_for_more(1)
        for _ in range(2):
            rare.pair.fail_over(pair)
            rare.on = pair.secondary or ""
            pair = rare.protect()
            counting.wait_for_more(10)
        stats = counting.stats()
    assert (stats.error, stats.contiguous) == (None, True), stats


def test_a_connection_that_was_opened_since_the_last_checkpoint_survives_the_loss_of_the_primary(
    testbed: Testbed, rare: Life
) -> None:
    pair = rare.protect()
    with testbed.client.count(rare.guest.address) as counting:
        counting.wait_for_more(1)
        rare.host(pair.primary).kill_qemu(rare.guest.name)
        rare.wait_for_loss(pair.secondary or "")
        rare.take_over(pair)
        counting.wait_for_more(10)
        stats = counting.stats()
    assert (stats.error, stats.contiguous) == (None, True), stats
