# SPDX-License-Identifier: Apache-2.0
"""The client machine of the guests, and the interruptions that it measures."""

import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from lab.core.errors import LabError
from lab.core.layout import Layout
from lab.core.patience import patient
from lab.core.process import Supervisor
from lab.core.waiting import wait_for
from lab.machines import conversation
from lab.machines.network import GUEST, Namespace, Switch

PORT = f"{GUEST}-client"
DEVICE = "net"
SUBNETS = 4
#: TCP retransmits for much longer than any failover takes.
REPLY_SECONDS = patient(120.0)
#: Numbers the countings of this process.
_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Stats:
    """Statistics of a counting.

    :ivar answers: number of answers
    :ivar contiguous: whether no count was lost, repeated or reverted
    :ivar error: why the counting ended by itself, None while it runs
    :ivar last: the last counter
    :ivar gap_s: seconds since the last answer; 0 when the counting has ended
    :ivar max_gap_s: the longest time without an answer, including the current one while the counting runs
    :ivar p50_ms: time to an answer, median
    :ivar p99_ms: time to an answer, 99th percentile
    :ivar max_ms: time to an answer, longest
    """

    answers: int
    contiguous: bool
    error: str | None
    last: int | None
    gap_s: float
    max_gap_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float


class Counting:
    """A process that counts on a guest over a single connection. As a context manager it stops at the end."""

    def __init__(self, argv: Sequence[str], log: Path, supervisor: Supervisor) -> None:
        self._log = log
        self._supervisor = supervisor
        self._stopped = False
        environment = supervisor.environment()
        with log.open("wb") as out:  # in a session of its own, so that Ctrl-C does not end it
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, env=environment, start_new_session=True
            )

    def stats(self, since: float = 0.0, until: float = float("inf")) -> Stats:
        """Return the statistics of the answers between two times, as of time.time().

        ``contiguous``, ``error`` and ``last`` refer to all answers.
        """
        now = time.time()
        running = self._process.poll() is None
        records = self._records()
        answers = [record for record in records if "counter" in record]
        chosen = [record for record in answers if since <= record["answered"] <= until]
        took = sorted((record["answered"] - record["asked"]) * 1000 for record in chosen)
        percentiles = (
            statistics.quantiles(took, n=100, method="inclusive")
            if len(took) > 1
            else took * 99 or [0.0] * 99
        )
        return Stats(
            answers=len(chosen),
            contiguous=all(_follows(*pair) for pair in itertools.pairwise(answers)),
            error=next((record["ended"] for record in records if "ended" in record), self._lost(running)),
            last=answers[-1]["counter"] if answers else None,
            gap_s=now - answers[-1]["answered"] if running and answers else 0.0,
            max_gap_s=_max_gap(
                [record["answered"] for record in answers], since, min(until, now) if running else None
            ),
            p50_ms=percentiles[49],
            p99_ms=percentiles[98],
            max_ms=took[-1] if took else 0.0,
        )

    def wait_for_more(self, answers: int = 10, seconds: float = 60.0) -> None:
        """Wait for that many more answers. Raise LabError on a timeout, or if the counting has ended."""
        wanted = self._count() + answers

        def missing() -> str | None:
            if self._process.poll() is not None:
                raise LabError(f"the counting has ended: {self.stats().error}")
            return None if self._count() >= wanted else f"{self._count()} of {wanted} answers received"

        wait_for(f"{answers} more answers", missing, self._supervisor, seconds=seconds)

    def stop(self) -> Stats:
        """Stop it, if it runs, and return its statistics."""
        self._stopped = True
        self._process.terminate()
        self._process.wait(timeout=patient(20))
        return self.stats()

    def __enter__(self) -> "Counting":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _lost(self, running: bool) -> str | None:
        return None if running or self._stopped else "the process that counts was killed"

    def _records(self) -> list[dict]:
        """Return the records that it has written, without an incomplete last line."""
        return [
            json.loads(line)
            for line in self._log.read_text().splitlines(keepends=True)
            if line.endswith("\n")
        ]

    def _count(self) -> int:
        return sum("counter" in record for record in self._records())


class Client:
    """A machine in the guests' network."""

    def __init__(self, namespace: Namespace, switch: Switch, layout: Layout, supervisor: Supervisor) -> None:
        self.namespace = namespace
        self._switch = switch
        self._logs = layout.logs
        self._supervisor = supervisor
        self._countings: list[Counting] = []

    def power_on(self) -> None:
        """Create it, with an address in each of the guests' subnets."""
        self.namespace.create()
        self._switch.plug(GUEST, PORT, self.namespace, DEVICE)
        for subnet in range(SUBNETS):
            self.namespace.ip("address", "add", f"10.77.{subnet}.1/24", "dev", DEVICE)

    def power_off(self) -> None:
        """Stop its countings, and remove it."""
        for counting in self._countings:
            counting.stop()
        self._countings.clear()
        self.namespace.delete()

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs ``argv`` on this machine."""
        return ["nsenter", f"--net={self.namespace.path}", "--", *argv]

    def ask(self, address: str, command: str, seconds: float = 10.0) -> str:
        """Return a guest's answer to one command, over a new connection. Raise LabError on a timeout."""
        return self._converse("ask", address, patient(seconds), command).rstrip("\n")

    def measure(self, address: str, command: str, duration: float) -> list[float]:
        """Repeat a command for some seconds, without pauses. Return the milliseconds to each answer.

        :raises LabError: the connection is lost
        """
        return json.loads(self._converse("measure", address, REPLY_SECONDS, command, str(duration)))

    def wait_for_answer(self, address: str, seconds: float = 120.0) -> None:
        """Wait until a guest's service answers."""

        def missing() -> str | None:
            try:
                self.ask(address, "r", seconds=2.0)
            except LabError as error:
                return str(error)
            return None

        wait_for(f"the guest at {address}", missing, self._supervisor, seconds=seconds)

    def try_ask(self, address: str, command: str, seconds: float = 10.0) -> str:
        """Return a guest's answer to one command, or the error."""
        try:
            return self.ask(address, command, seconds)
        except LabError as error:
            return str(error)

    def path_to(self, mac: str) -> str | None:
        """Return the port to which the switch sends frames for a MAC address, or None for all ports."""
        return self._switch.port_of(mac)

    def count(self, address: str, command: str = "i", interval: float = 0.02) -> Counting:
        """Start to count on a guest.

        :param command: ``i`` counts in memory, ``d`` on its disks too
        :param interval: seconds between an answer and the next command
        """
        argv = self._conversation("count", address, str(REPLY_SECONDS), command, str(interval))
        log = self._logs / f"counting-{os.getpid()}-{next(_NUMBERS)}.jsonl"
        counting = Counting(argv, log, self._supervisor)
        self._countings.append(counting)
        return counting

    def _converse(self, mode: str, address: str, seconds: float, command: str, *more: str) -> str:
        """Run a conversation and return its output. Raise LabError if the guest did not answer."""
        argv = self._conversation(mode, address, str(seconds), command, *more)
        result = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if result.returncode:
            raise LabError(
                f"{address} did not answer '{command}': {(result.stderr.splitlines() or ['?'])[-1]}"
            )
        return result.stdout

    def _conversation(self, *arguments: str) -> list[str]:
        return self.command([sys.executable, "-I", str(conversation.__file__), *arguments])


def _follows(before: dict, after: dict) -> bool:
    """Return whether no count is missing between two answers; other clients may have counted meanwhile."""
    return after["number"] == before["number"] + 1 and after["counter"] > before["counter"]


def _max_gap(answered: list[float], since: float, until: float | None) -> float:
    """Return the longest of the gaps that ended after ``since``; an open gap ends at ``until``, if given."""
    times = [time for time in answered if until is None or time <= until]
    if until is not None:
        times.append(until)
    return max((after - before for before, after in itertools.pairwise(times) if after >= since), default=0.0)
