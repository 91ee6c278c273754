# SPDX-License-Identifier: Apache-2.0
"""A lab whose hosts are machines with libvirt and QEMU, shared by the tests that need one."""

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab import Lab
from tests.cloud_real.server import FtServer
from tests.fixtures.cloud import Cloud, wait_for
from tests.ui.conftest import browser, chromium, log_in

__all__ = ["browser", "chromium", "log_in"]  # fixtures

PREFIX = pathlib.Path(__file__).resolve().parents[2] / ".lab" / "test-real"


@pytest.fixture(scope="session")
def real_lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Return a running lab with three real hosts and no servers. Its logs are kept if a test fails."""
    prefix = request.config.getoption("--lab")
    if prefix:
        yield Lab(pathlib.Path(prefix).resolve())
        return
    lab = Lab(PREFIX)
    lab.down(purge=True)
    lab.up(hosts=3, demo=False, hypervisor="real", short_intervals=True)
    try:
        yield lab
    finally:
        namespaces = lab.testbed().namespaces
        lab.down(purge=not request.session.testsfailed)
        assert not namespaces(), "network namespaces are left"


@pytest.fixture(scope="session")
def lab(real_lab: Lab) -> Lab:
    return real_lab


@pytest.fixture(scope="session")
def cloud(lab: Lab) -> Cloud:
    return Cloud(lab)


def switch_on(cloud: Cloud) -> None:
    """Power on all hosts: a failed test may have left one off."""
    for host in cloud.lab.hosts():
        cloud.lab.host(host).start()
    wait_for("all hosts are up", 120, lambda: cloud.hosts_up() >= set(cloud.lab.hosts()))


@pytest.fixture(scope="session")
def make_server(cloud: Cloud) -> Callable[..., FtServer]:
    """Return a function that creates an FT server while all hosts are up, with FtServer's arguments."""

    def make(**more: Any) -> FtServer:
        switch_on(cloud)
        return FtServer(cloud, **more)

    return make


class SharedServer:
    """An FT server with a client over one connection, kept from test to test as long as they pass.

    A failed test may leave it broken, so the next one gets a new server.
    """

    def __init__(self, make_server: Callable[..., FtServer]):
        self._make_server = make_server
        self._server: FtServer | None = None

    def get(self) -> FtServer:
        """Return the server, created and in use."""
        if self._server is None:
            self._server = self._make_server()
            self._server.use()
        return self._server

    def end(self) -> None:
        """Delete the server, if there is one, and check that nothing is left of it."""
        if self._server is not None:
            server, self._server = self._server, None
            server.delete()


@pytest.fixture(scope="session")
def shared_server(make_server: Callable[..., FtServer], cloud: Cloud) -> Iterator[SharedServer]:
    """Return the server that most tests share."""
    shared = SharedServer(make_server)
    yield shared
    switch_on(cloud)
    shared.end()


@pytest.fixture
def server(request: pytest.FixtureRequest, shared_server: SharedServer, cloud: Cloud) -> FtServer:
    """Return the shared FT server with its client, and delete it when the test fails."""
    failed_before = request.session.testsfailed

    def end_if_it_may_be_broken() -> None:
        if request.session.testsfailed > failed_before:
            switch_on(cloud)
            shared_server.end()

    request.addfinalizer(end_if_it_may_be_broken)
    return shared_server.get()
