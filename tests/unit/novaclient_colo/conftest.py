# SPDX-License-Identifier: Apache-2.0
"""A fake cloud and the command line clients, in this process."""

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from osc_lib.clientmanager import ClientCache, ClientManager

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.unit.novaclient_colo.fake_cloud import FakeCloud, make_pair


class Result(NamedTuple):
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeCloud]:
    for name in ("OS_CLOUD", "OS_TOKEN", "OS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with FakeCloud([make_pair()]) as cloud:
        yield cloud


def forget_clients() -> None:
    """Make the next command log in again: openstackclient caches its clients on the class."""
    for attribute in vars(ClientManager).values():
        if isinstance(attribute, ClientCache):
            attribute._handle = None


@pytest.fixture
def run(
    cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """Run a command line, ``openstack ...`` or ``nova ...``, as a user of the cloud."""

    def run_as(line: str, user: str = "admin") -> Result:
        from novaclient import shell as nova
        from openstackclient import shell as openstack

        for name, value in cloud.env(user).items():
            monkeypatch.setenv(name, value)
        forget_clients()
        program, *arguments = line.split()
        root = logging.getLogger()
        handlers, level = list(root.handlers), root.level
        capsys.readouterr()
        try:
            code = {"openstack": openstack.main, "nova": nova.main}[program](arguments)
        except SystemExit as stop:
            code = stop.code
        finally:
            root.handlers[:], root.level = handlers, level
        return Result(code or 0, *capsys.readouterr())

    return run_as
