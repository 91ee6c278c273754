# SPDX-License-Identifier: Apache-2.0
"""Options of all tests, and the lab: one OpenStack deployment shared by the tests that need one."""

import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import HealthCheck, settings

from lab.core.addresses import LOOPBACK
from tests.fixtures.timeouts import pytest_collection_modifyitems

if TYPE_CHECKING:
    from lab import Lab

__all__ = ["pytest_collection_modifyitems"]  # a pytest hook

# Properties are checked without a deadline, since a busy machine may be slow, and with the same examples in
# each run, so that a failure is due to the change under test. The long profile searches for further examples.
settings.register_profile(
    "usual", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile("long", settings.get_profile("usual"), max_examples=1000, derandomize=False)
settings.load_profile("usual")

PREFIX = pathlib.Path(__file__).resolve().parent.parent / ".lab" / "test"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--lab", metavar="PREFIX", help="use the lab that runs at PREFIX, and leave it up")


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator["Lab"]:
    """Return a running lab with three hosts, the dashboard and the demo servers.

    Its logs are kept if a test fails.
    """
    from lab import Lab  # takes a second, which tests without a lab need not wait

    prefix = request.config.getoption("--lab")
    if prefix:
        yield Lab(pathlib.Path(prefix).resolve())
        return
    test_lab = Lab(PREFIX)
    test_lab.down(purge=True)
    test_lab.up(hosts=3, short_intervals=True)
    try:
        yield test_lab
    finally:
        ports = {status.port for status in test_lab.status() if status.port}
        test_lab.down(purge=not request.session.testsfailed)
        assert not _processes_of(PREFIX), "processes of the lab are left"
        assert not ports & _listening(), "ports of the lab are left"


def _processes_of(prefix: pathlib.Path) -> list[str]:
    command_lines = (" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))
    return [line for line in command_lines if f"{prefix}/" in line]


def _listening() -> set[int]:
    """Return the TCP ports in LISTEN state at the lab's address."""
    listening = (c.laddr for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN)
    return {address.port for address in listening if address.ip == LOOPBACK}
