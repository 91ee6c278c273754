# SPDX-License-Identifier: Apache-2.0
"""The program colo-pair keeps a guest's client connected. The tests depend on each other, in order."""

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.cloud import services
from lab.core.patience import patient
from lab.machines import Guest, Testbed
from tests.qemu.lives import Life

A, B, C = "compute-a", "compute-b", "compute-c"
ALL = ("--hosts", ",".join((A, B, C)))
#: Timeout of one command in seconds.
PATIENCE = 180


class Program:
    """colo-pair for one guest."""

    def __init__(self, life: Life, conf: Path):
        self.life = life
        self._argv = [str(services.program("colo-pair")), "--config-file", str(conf)]
        self._server = life.guest.uuid

    def argv(self, command: str, *arguments: str) -> list[str]:
        return [*self._argv, command, self._server, *arguments]

    def output(self, command: str, *arguments: str) -> str:
        """Run a command that succeeds, and return its output."""
        done = subprocess.run(
            self.argv(command, *arguments), capture_output=True, text=True, timeout=patient(PATIENCE)
        )
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def refusal(self, command: str, *arguments: str) -> str:
        """Run a command that is refused, and return its one line of output."""
        done = subprocess.run(
            self.argv(command, *arguments), capture_output=True, text=True, timeout=patient(PATIENCE)
        )
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
        return done.stderr

    def status(self) -> dict[str, Any]:
        return json.loads(self.output("status", *ALL, "--json"))


@pytest.fixture(scope="module")
def program(testbed: Testbed) -> Iterator[Program]:
    life = Life(testbed, Guest("command", number=115, checked_pages=64))
    conf = testbed.instances.parent / "etc" / "engine.conf"
    yield Program(life, conf)
    life.close()


def test_a_guest_is_protected_and_status_shows_it(program):
    text = program.output("protect", "--primary", A, "--secondary", B)
    assert f"Protected: primary {A}, secondary {B}, epoch 0. The guest was paused for" in text
    program.life.goes_on()
    shown = program.status()
    assert (shown["primary"], shown["secondary"], shown["epoch"]) == (A, B, 0)
    first, second, third = shown["hosts"]
    assert (first["role"], first["running"], first["link_up"], first["checkpoints"]["total"] >= 0) == (
        "primary",
        True,
        True,
        True,
    )
    assert (second["role"], third["role"]) == ("secondary", None)
    assert "secondary" in program.output("status", *ALL)


def test_a_primary_that_is_well_is_not_taken_for_lost(program):
    assert "--force" in program.refusal("failover", *ALL, "--lost")


def test_a_planned_failover(program):
    assert f"{B} runs the guest unprotected, epoch 1." in program.output("failover", *ALL)
    program.life.goes_on()
    assert program.life.runs_on() == [B]


def test_a_failover_when_the_primary_is_lost(program):
    program.output(
        "protect", "--primary", B, "--secondary", A, "--mode", "checkpoint", "--interval-ms", "500"
    )
    program.output("mode", *ALL, "colo")
    program.life.host(B).kill_qemu(program.life.guest.name)
    program.life.wait_for_loss(A)
    program.life.wait(f"{B} reports it", lambda: program.life.replica(B)["running"] is False)
    assert f"The QEMU on {B} does not run." in program.refusal("failover", *ALL)
    assert "You confirm" in program.output("failover", *ALL, "--lost")
    program.life.goes_on()


def test_the_primary_goes_on_alone(program):
    program.output("protect", "--primary", A, "--secondary", B)  # removes the old replica on B
    program.life.host(B).kill_qemu(program.life.guest.name)
    program.life.wait_for_loss(A)
    assert f"{A} runs the guest unprotected, epoch 3." in program.output("alone", *ALL)
    program.life.goes_on()


def test_unprotect_leaves_no_replica(program):
    program.output("protect", "--primary", A, "--secondary", C)
    program.output("unprotect", *ALL)
    program.life.goes_on()
    assert program.life.runs_on() == [A]
    assert [host["role"] for host in program.status()["hosts"]] == [None, None, None]


def test_an_agent_that_is_not_there_is_named(program):
    assert "The agent on compute-x does not answer." in program.refusal(
        "protect", "--primary", A, "--secondary", "compute-x"
    )


def test_a_broker_that_is_not_there_or_lets_nobody_in_is_named(program, tmp_path):
    known = program.life.testbed.broker().transport_url
    for url, words in (
        ("rabbit://127.0.0.1:1/", "127.0.0.1:1: "),
        (known.replace("lab:", "lab:not-"), "ACCESS_REFUSED"),
    ):
        conf = tmp_path / "colo-pair.conf"
        conf.write_text(f"[DEFAULT]\ntransport_url = {url}\n")
        assert words in Program(program.life, conf).refusal("status", *ALL)


def test_run_survives_the_loss_of_the_primary_and_protects_again_on_the_spare(program):
    life, events = program.life, []
    argv = program.argv("run", "--primary", A, "--secondary", B, "--spare", C, "--json")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        reader = threading.Thread(target=lambda: events.extend(json.loads(line) for line in run.stdout))
        reader.start()
        try:
            protected = lambda: [event for event in list(events) if event["event"] == "protected"]  # noqa: E731
            life.wait("the guest is protected", protected)
            life.goes_on()
            life.host(A).kill_qemu(life.guest.name)
            life.wait("it is protected again", lambda: len(protected()) == 2)
            life.goes_on()
            where = protected()[-1]
            assert (where["primary"], where["secondary"], where["epoch"]) == (B, C, 1)
        finally:
            run.send_signal(signal.SIGTERM)
            print(*(event["message"] for event in events), sep="\n")
        assert (run.wait(patient(60)), run.stderr.read()) == (0, "")
        reader.join()
    assert events[-1]["event"] == "stopped"
    assert sorted(life.runs_on()) == [B, C]
    life.goes_on()
    life.on = B
