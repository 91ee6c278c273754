# SPDX-License-Identifier: Apache-2.0
"""The cost of a pair of real QEMUs for its clients, and what they notice of failovers.

No value is asserted.
"""

import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psutil
import pytest

from lab.cloud import services
from lab.machines import Guest, Testbed
from tests.qemu.lives import Life

pytestmark = pytest.mark.timeout(3600)
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
FAILOVERS = int(os.environ.get("BENCH_FAILOVERS", "7"))
#: Duration in seconds of the requests for each kind of reply.
DURATION_S = 6.0
REPLIES = {"identical": "i", "divergent": "t"}
SIZES_MB = (64, 256, 1024)


def living(testbed: Testbed, guest: Guest, interval: float = 0.02) -> closing[Life]:
    """Return a guest whose agents have their default options."""
    return closing(Life(testbed, guest, "i", options={}, interval=interval))


@pytest.fixture
def show(capsys) -> Callable[[str], None]:
    def show(text: str) -> None:
        with capsys.disabled():
            print(text)

    model = next(
        (
            line.split(": ")[1]
            for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "",
    )
    memory = psutil.virtual_memory().total / 2**30
    emulated = "QEMU's emulator (no KVM), hosts are network namespaces of one machine"
    show(f"\n{model or platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB; {emulated}")
    return show


def test_what_a_pair_costs_its_clients(testbed, show):
    """Requests on one connection, each sent after the last reply; medians of several rounds."""
    measured: dict[tuple[str, str], list[list[float]]] = {}
    pauses: dict[str, list[dict[str, Any]]] = {"colo": [], "checkpoint": []}
    pauses_ms: list[float] = []
    with living(testbed, Guest("bench", number=170), interval=1.0) as life:

        def ask(mode: str) -> None:
            for replies, command in REPLIES.items():
                measured.setdefault((mode, replies), []).append(
                    testbed.client.measure(life.guest.address, command, DURATION_S)
                )

        for _ in range(ROUNDS):
            ask("unprotected")
            for mode, interval in (("colo", None), ("checkpoint", 100)):
                pair = life.protect(mode=mode, interval_ms=interval)
                replica = life.replica(pair.primary)
                pauses_ms.append(replica["stood_still_ms"])
                ask(mode)
                pauses[mode].append(life.replica(pair.primary)["checkpoints"]["pause_ms"])
                life.pair.unprotect(pair)
    show(
        f"a client's requests, {ROUNDS} rounds of {DURATION_S:g} s, medians; "
        "ratios against the unprotected guest:"
    )
    for replies in REPLIES:
        unprotected = rates(measured["unprotected", replies])
        for mode in ("unprotected", "colo", "checkpoint"):
            rate, p50, p99 = (of(measured[mode, replies]) for of in (rates, percentile(50), percentile(99)))
            figures = (
                f"{rate:7.0f} requests/s ({rate / unprotected:.2f}), RTT p50 {p50:6.2f} ms, p99 {p99:6.1f} ms"
            )
            show(f"  {replies}, {mode + (' 100 ms' if mode == 'checkpoint' else ''):18} {figures}")
    for mode, samples in pauses.items():
        mean, p99 = (statistics.median(one[name] for one in samples) for name in ("mean", "p99"))
        show(f"  pause of a checkpoint, {mode}: mean {mean:.1f} ms, p99 {p99:.1f} ms")
    show(
        f"  the guest was paused while it was protected: median {statistics.median(pauses_ms):.0f} ms, "
        f"most {max(pauses_ms):.0f} ms"
    )


def rates(rounds: list[list[float]]) -> float:
    """Return replies per second."""
    return statistics.median(1000 * len(took) / sum(took) for took in rounds)


def percentile(of: int) -> Callable[[list[list[float]]], float]:
    """Return a function that computes a percentile in milliseconds."""
    return lambda rounds: statistics.median(
        statistics.quantiles(took, n=100, method="inclusive")[of - 1] for took in rounds
    )


def test_how_long_it_takes_to_protect(testbed, show):
    """With disks full of data other than zeros."""
    show("a guest of 128 MB is protected, by the size of its disk:")
    first = None
    for number, size in enumerate(SIZES_MB):
        guest, host = Guest(f"bench-{size}", number=171 + number, disk_bytes=size << 20), testbed.hosts["a"]
        host.create_disks(guest)
        (disk,) = guest.disk_paths(host.instances)
        with host.outside(disk).open("r+b") as file:
            file.seek(1 << 20)
            for _ in range(size - 1):
                file.write(os.urandom(1 << 20))
        took, pauses_ms = [], []
        with living(testbed, guest) as life:
            for _ in range(ROUNDS):
                began = time.monotonic()
                list(life.pair.protect("compute-a", "compute-b", timeout=600))
                took.append(time.monotonic() - began)
                pair = life.observe()
                pauses_ms.append(life.replica("compute-a")["stood_still_ms"])
                life.pair.unprotect(pair)
        median = statistics.median(took)
        first = first or median
        show(
            f"  {size:5} MB: {median:5.1f} s ({median / first:.2f}), "
            f"of which it was paused for {statistics.median(pauses_ms):.0f} ms"
        )


def test_what_a_client_notices_of_failovers(testbed, show):
    """The longest time between replies, including detection and decision, with colo-pair run."""
    unplanned, planned = [], []
    with living(testbed, Guest("bench-gaps", number=175), interval=0.005) as life:
        a, b, c = life.hosts
        with watched(life, "--primary", a, "--secondary", b, "--spare", c) as events:
            for number in range(FAILOVERS):
                where = nth(life, events, "protected", number)
                life.goes_on()
                began = time.time()
                life.host(where["primary"]).kill_qemu(life.guest.name)
                nth(life, events, "failed_over", number)
                life.goes_on()
                unplanned.append(life.gap_s(began))
            nth(life, events, "protected", FAILOVERS)
        life.on = life.observe().primary
        for _ in range(FAILOVERS):
            pair = life.protect()
            began = time.time()
            life.pair.fail_over(pair)
            life.on = pair.secondary or ""
            life.goes_on()
            planned.append(life.gap_s(began))
    show(f"a client's longest wait, {FAILOVERS} failovers each:")
    for kind, gaps in (
        ("kill -9 of the primary's QEMU, until noticed and decided", unplanned),
        ("planned", planned),
    ):
        figures = {"p50": statistics.median(gaps), "least": min(gaps), "most": max(gaps)}
        show(f"  {kind}: " + ", ".join(f"{name} {1000 * value:.0f} ms" for name, value in figures.items()))


@contextmanager
def watched(life: Life, *arguments: str) -> Iterator[list[dict[str, Any]]]:
    """Run ``colo-pair run`` for a pair, and yield the list to which its events are appended."""
    events: list[dict[str, Any]] = []
    conf = life.testbed.instances.parent / "etc" / "engine.conf"
    argv = [
        str(services.program("colo-pair")),
        "--config-file",
        str(conf),
        "run",
        life.guest.uuid,
        *arguments,
        "--json",
    ]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as run:
        reader = threading.Thread(target=lambda: events.extend(json.loads(line) for line in run.stdout or ()))
        reader.start()
        try:
            yield events
        finally:
            run.send_signal(signal.SIGTERM)
            reader.join()


def nth(life: Life, events: list[dict[str, Any]], kind: str, number: int) -> dict[str, Any]:
    """Wait for the event of a kind with a number, counted from 0, and return it."""
    matching = life.wait(
        f"{kind} for the {number + 1}. time",
        lambda: [event for event in list(events) if event["event"] == kind][number:],
    )
    return matching[0]
