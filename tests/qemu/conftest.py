# SPDX-License-Identifier: Apache-2.0
"""Hosts with real QEMU, shared by the tests that need them."""

import pathlib
from collections.abc import Iterator

import psutil
import pytest

from lab.machines import Testbed

PREFIX = pathlib.Path(__file__).resolve().parents[2] / ".lab" / "test-colo"


@pytest.fixture(scope="session")
def testbed() -> Iterator[Testbed]:
    """Return a testbed of three hosts and a client."""
    testbed = Testbed(PREFIX, hosts=("a", "b", "c"))
    with testbed:
        yield testbed
    assert not testbed.namespaces, "network namespaces are left"
    assert not pathlib.Path("/sys/class/net", testbed.interface).exists(), "a network interface is left"
    assert not _processes_of(PREFIX), "processes are left"


def _processes_of(prefix: pathlib.Path) -> list[str]:
    command_lines = (" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))
    return [line for line in command_lines if f"{prefix}/" in line]
