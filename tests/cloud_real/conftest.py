# SPDX-License-Identifier: Apache-2.0
"""A lab whose hosts are machines with libvirt and QEMU, started once for all tests that need one."""

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


class Lasting:
    """An FT server that lives through the tests for as long as they pass, and that a user counts on over one connection.

    A test that fails may leave it broken, and the others would fail for that alone: they get another one.
    """

    def __init__(self, make_server: Callable[..., FtServer]):
        self._make_server = make_server
        self._server: FtServer | None = None

    def get(self) -> FtServer:
        """Return it; made and in use, if it is not yet."""
        if self._server is None:
            self._server = self._make_server()
            self._server.use()
        return self._server

    def end(self) -> None:
        """Delete it, if there is one; nothing must be left of it."""
        if self._server is not None:
            server, self._server = self._server, None
            server.delete()


@pytest.fixture(scope="session")
def lasting(make_server: Callable[..., FtServer], cloud: Cloud) -> Iterator[Lasting]:
    """The server of most tests here."""
    made = Lasting(make_server)
    yield made
    switch_on(cloud)
    made.end()


@pytest.fixture
def server(request: pytest.FixtureRequest, lasting: Lasting, cloud: Cloud) -> FtServer:
    """An FT server that has lived through all tests before, and that a user counts on over one connection."""
    failed_before = request.session.testsfailed

    def end_if_it_may_be_broken() -> None:
        if request.session.testsfailed > failed_before:
            switch_on(cloud)
            lasting.end()

    request.addfinalizer(end_if_it_may_be_broken)
    return lasting.get()
