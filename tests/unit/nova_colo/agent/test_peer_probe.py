# SPDX-License-Identifier: Apache-2.0
"""A host is silent when it does not answer, and not when nobody was there to ask it."""

import socket
import threading
import time

import pytest

from lab.core.patience import patient
from nova_colo.agent.qemu import peer_probe

PATIENCE = 10
HOST = "192.0.2.1"


class Asked:
    """A host that answers or not, and the clock of who asks it, which can be put forward."""

    def __init__(self):
        self.answers = True
        self.times = 0
        self.ahead = 0.0
        self.may_end = threading.Event()
        self.may_end.set()

    def ask(self, address: str, port: int) -> bool:
        answers = self.answers
        self.may_end.wait(patient(PATIENCE))
        self.times += 1
        return answers

    def clock(self) -> float:
        return time.monotonic() + self.ahead

    def wait_for_more(self, times: int = 2) -> None:
        wanted, deadline = self.times + times, time.monotonic() + patient(PATIENCE)
        while self.times < wanted:
            assert time.monotonic() < deadline, "it is not asked any more"
            time.sleep(0.01)


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def reached(asked) -> peer_probe.PeerProbe:
    made = peer_probe.PeerProbe(9, asked.ask, asked.clock)
    assert made.age(HOST) == 0
    return made


def test_a_host_that_answers_has_done_so_just_now(asked, reached):
    asked.wait_for_more(4)
    assert reached.age(HOST) < peer_probe.STALL_S


def test_a_host_that_does_not_answer_is_silent_for_as_long_as_that_takes(asked, reached):
    asked.answers = False
    began = time.monotonic()
    asked.wait_for_more(8)
    assert reached.age(HOST) >= time.monotonic() - began - 2 * peer_probe.INTERVAL_S


@pytest.mark.parametrize("ahead", [2.0, 60.0])
def test_the_time_for_which_nobody_was_there_to_ask_is_not_counted(asked, reached, ahead):
    asked.wait_for_more()
    asked.may_end.clear()
    asked.ahead += (
        ahead  # all stood still; who looks first at what is known of the host need not be who asks it
    )
    assert reached.age(HOST) <= peer_probe.STALL_S + 0.1
    asked.answers = False
    asked.may_end.set()
    asked.wait_for_more(1)
    assert reached.age(HOST) <= peer_probe.STALL_S + 2 * peer_probe.INTERVAL_S


def test_a_port_that_refuses_is_an_answer():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert peer_probe.answers(*taken.getsockname())  # nobody listens: it is refused
