# SPDX-License-Identifier: Apache-2.0
"""A host counts as silent when it does not answer, but not while the agent itself was stalled."""

import socket
import threading
import time

import pytest

from lab.core.patience import patient
from nova_colo.agent.qemu import peer_probe

PATIENCE = 10
HOST = "192.0.2.1"


class ProbedHost:
    """A probed host that answers or not, and the prober's clock, which can be advanced."""

    def __init__(self):
        self.answers = True
        self.times = 0
        self.ahead = 0.0
        self.may_end = threading.Event()
        self.may_end.set()

    def probe(self, address: str, port: int) -> bool:
        answers = self.answers
        self.may_end.wait(patient(PATIENCE))
        self.times += 1
        return answers

    def clock(self) -> float:
        return time.monotonic() + self.ahead

    def wait_for_more(self, times: int = 2) -> None:
        wanted, deadline = self.times + times, time.monotonic() + patient(PATIENCE)
        while self.times < wanted:
            assert time.monotonic() < deadline, "the host is not probed any more"
            time.sleep(0.01)


@pytest.fixture
def host() -> ProbedHost:
    return ProbedHost()


@pytest.fixture
def probe(host) -> peer_probe.PeerProbe:
    probe = peer_probe.PeerProbe(9, host.probe, host.clock)
    assert probe.age(HOST) == 0
    return probe


def test_a_host_that_answers_has_done_so_just_now(host, probe):
    host.wait_for_more(4)
    assert probe.age(HOST) < peer_probe.STALL_S


def test_a_host_that_does_not_answer_is_silent_for_as_long_as_that_takes(host, probe):
    host.answers = False
    began = time.monotonic()
    host.wait_for_more(8)
    assert probe.age(HOST) >= time.monotonic() - began - 2 * peer_probe.INTERVAL_S


@pytest.mark.parametrize("ahead", [2.0, 60.0])
def test_the_time_for_which_nobody_was_there_to_ask_is_not_counted(host, probe, ahead):
    host.wait_for_more()
    host.may_end.clear()
    # the whole agent was stalled; the thread that reads the age may run before the one that probes
    host.ahead += ahead
    assert probe.age(HOST) <= peer_probe.STALL_S + 0.1
    host.answers = False
    host.may_end.set()
    host.wait_for_more(1)
    assert probe.age(HOST) <= peer_probe.STALL_S + 2 * peer_probe.INTERVAL_S


def test_a_port_that_refuses_is_an_answer():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert peer_probe.answers(*taken.getsockname())  # no process listens, so the kernel refuses
