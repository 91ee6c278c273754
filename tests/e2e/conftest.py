# SPDX-License-Identifier: Apache-2.0
"""A lab whose hosts are machines with libvirt and QEMU, started once for all tests that need one."""

import pathlib
import uuid
from collections.abc import Iterator

import pytest

from lab import Lab
from tests.cloud import Cloud, wait_for
from tests.e2e.server import FtServer

PREFIX = pathlib.Path(__file__).resolve().parents[2] / ".lab" / "test-real"


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A running lab with three real hosts, and no servers."""
    prefix = request.config.getoption("--lab")
    if prefix:
        yield Lab(pathlib.Path(prefix).resolve())
        return
    made = Lab(PREFIX)
    made.down(purge=True)
    made.up(hosts=3, demo=False, hypervisor="real")
    try:
        yield made
    finally:
        namespaces = made.rack().namespaces
        made.down(purge=True)
        assert not namespaces(), "network namespaces are left"


@pytest.fixture(scope="session")
def cloud(lab: Lab) -> Cloud:
    return Cloud(lab)


@pytest.fixture(scope="module")
def server(cloud: Cloud) -> Iterator[FtServer]:
    """An FT server that a user counts on, over one connection for as long as it lives."""
    for host in cloud.lab.hosts():
        cloud.lab.host(host).start()  # a test that has failed may have left it without power
    wait_for("all hosts are up", 120, lambda: cloud.hosts_up() >= set(cloud.lab.hosts()))
    made = FtServer(cloud, f"ft-{uuid.uuid4().hex[:8]}")
    yield made
    made.delete()
