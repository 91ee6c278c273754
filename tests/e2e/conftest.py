# SPDX-License-Identifier: Apache-2.0
"""A lab whose hosts are machines with libvirt and QEMU, started once for all tests that need one."""

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab import Lab
from tests.cloud import Cloud, wait_for
from tests.e2e.server import FtServer
from tests.ui.conftest import browser, log_in

__all__ = ["browser", "log_in"]  # fixtures

PREFIX = pathlib.Path(__file__).resolve().parents[2] / ".lab" / "test-real"


@pytest.fixture(scope="session")
def real_lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A running lab with three real hosts, and no servers."""
    prefix = request.config.getoption("--lab")
    if prefix:
        yield Lab(pathlib.Path(prefix).resolve())
        return
    made = Lab(PREFIX)
    made.down(purge=True)
    made.up(hosts=3, demo=False, hypervisor="real", short_intervals=True)
    try:
        yield made
    finally:
        namespaces = made.rack().namespaces
        made.down(purge=True)
        assert not namespaces(), "network namespaces are left"


@pytest.fixture(scope="session")
def lab(real_lab: Lab) -> Lab:
    return real_lab


@pytest.fixture(scope="session")
def cloud(lab: Lab) -> Cloud:
    return Cloud(lab)


def switch_on(cloud: Cloud) -> None:
    """Switch all hosts on: a test that has failed may have left one without power."""
    for host in cloud.lab.hosts():
        cloud.lab.host(host).start()
    wait_for("all hosts are up", 120, lambda: cloud.hosts_up() >= set(cloud.lab.hosts()))


@pytest.fixture(scope="session")
def make_server(cloud: Cloud) -> Callable[..., FtServer]:
    """Make an FT server on hosts that are all up; takes what FtServer does."""

    def make(**more: Any) -> FtServer:
        switch_on(cloud)
        return FtServer(cloud, **more)

    return make


@pytest.fixture(scope="session")
def server(make_server: Callable[..., FtServer], cloud: Cloud) -> Iterator[FtServer]:
    """An FT server that lives through all tests, and that a user counts on over one connection for as long as it runs."""
    made = make_server()
    made.use()
    yield made
    switch_on(cloud)
    made.delete()
