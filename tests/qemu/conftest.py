# SPDX-License-Identifier: Apache-2.0
"""Hosts with real QEMU, started once for all tests that need them."""

import pathlib
from collections.abc import Iterator

import psutil
import pytest

from lab.machines import Testbed

PREFIX = pathlib.Path(__file__).resolve().parents[2] / ".lab" / "test-colo"


@pytest.fixture(scope="session")
def bed() -> Iterator[Testbed]:
    """Three hosts and a client."""
    made = Testbed(PREFIX, hosts=("a", "b", "c"))
    with made:
        yield made
    assert not made.namespaces, "network namespaces are left"
    assert not pathlib.Path("/sys/class/net", made.interface).exists(), "a network interface is left"
    assert not _processes_of(PREFIX), "processes are left"


def _processes_of(prefix: pathlib.Path) -> list[str]:
    found = (" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))
    return [line for line in found if f"{prefix}/" in line]
