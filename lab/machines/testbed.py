# SPDX-License-Identifier: Apache-2.0
"""A testbed: hosts, a client, and the switch between them."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from lab.core.errors import RefusalError
from lab.core.layout import MAX_SOCKET_PATH, Layout
from lab.core.process import Supervisor
from lab.guest.image import GuestImage
from lab.machines.broker import Broker
from lab.machines.client import Client
from lab.machines.host import Host, Infrastructure
from lab.machines.management import Management, interface
from lab.machines.network import NAMESPACES, Namespace, Switch, mark

if TYPE_CHECKING:
    from lab.machines.agents import Agents


class Testbed:
    """Hosts and a client, one set per prefix. As a context manager it is brought up and taken down.

    :ivar hosts: the hosts by their names
    :ivar client: the machine that connects to the guests
    """

    def __init__(self, prefix: str | Path, hosts: Sequence[str] = ("a", "b", "c")) -> None:
        self._layout = Layout.at(prefix)
        self._mark = mark(self._layout.prefix)
        self._supervisor = Supervisor(self._layout)
        self._switch = Switch(self._namespace("switch"))
        self._management = Management(self._switch, interface(self._mark))
        self._broker: Broker | None = None
        self._agents: Agents | None = None
        self._lock: TextIO | None = None
        self.client = Client(self._namespace("client"), self._switch, self._layout, self._supervisor)
        self._infrastructure = Infrastructure(
            self._layout, self._supervisor, self._switch, self._management, self.broker
        )
        self.hosts = {name: self._host(name, number) for number, name in enumerate(hosts, start=1)}

    @property
    def image(self) -> GuestImage:
        """The boot image of the guests."""
        return GuestImage.ensure()

    @property
    def instances(self) -> Path:
        """The folder of the guests' files, the same path on every host."""
        return self._layout.prefix / "instances"

    @property
    def interface(self) -> str:
        """This machine's interface in the management network."""
        return self._management.interface

    @property
    def namespaces(self) -> list[str]:
        """The names of the existing network namespaces."""
        return sorted(path.name for path in NAMESPACES.glob(f"{self._mark}-*"))

    def broker(self) -> Broker:
        """Start RabbitMQ in the management network, unless it runs, and return it."""
        if self._broker is None:
            self._broker = Broker(self._layout, self._supervisor, self._management)
        self._broker.start()
        return self._broker

    @property
    def agents(self) -> Agents:
        """The engine's side of the hosts' agents, created on first use."""
        if self._agents is None:
            from lab.machines.agents import Agents  # imports oslo.messaging and its dependencies

            self._agents = Agents(
                self.broker().transport_url, self._layout.etc / "engine.conf", self._supervisor
            )
        return self._agents

    def up(self) -> None:
        """Power on all machines, with empty disks. Leftovers of an earlier run are removed first.

        :raises RefusalError: another process uses the same prefix
        """
        self._take_lock()
        self._clear()
        for folder in (self._layout.prefix / "hosts", self._layout.prefix / "rabbitmq", self.instances):
            shutil.rmtree(folder, ignore_errors=True)
        GuestImage.ensure()
        self._switch.create()
        self._management.plug_in()
        self.client.power_on()
        for host in self.hosts.values():
            host.power_on()

    def down(self) -> None:
        """Stop all its processes, also of an earlier run, and remove its namespaces; disks and logs remain.

        :raises RefusalError: another process uses the same prefix
        """
        lock = self._take_lock()
        self._clear()
        lock.close()
        self._lock = None

    def __enter__(self) -> Testbed:
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.down()

    def _host(self, name: str, number: int) -> Host:
        socket = self._layout.host(name) / "run" / "libvirt-sock"
        if len(str(socket)) > MAX_SOCKET_PATH:
            raise RefusalError(
                f"the folder has too long a path for a Unix socket in it: {self._layout.prefix}"
            )
        return Host(name, number, self._infrastructure, self._namespace(name))

    def _namespace(self, part: str) -> Namespace:
        return Namespace(f"{self._mark}-{part}")

    def _take_lock(self) -> TextIO:
        """Return the lock of the prefix, which is held until it is closed."""
        if self._lock is not None:
            return self._lock
        self._layout.create()
        lock = self._layout.lock_file.open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise RefusalError(f"another process uses the hosts at {self._layout.prefix}") from None
        self._lock = lock
        return lock

    def _clear(self) -> None:
        """Stop and remove everything, also of an earlier run. Processes in namespaces have no pid files."""
        if self._agents is not None:
            self._agents.close()
        self._agents = self._broker = None
        self.client.power_off()
        for host in self.hosts.values():
            host.power_cut()
        self._supervisor.stop(["rabbitmq"])  # before epmd, where it unregisters
        self._management.unplug()
        for name in self.namespaces:
            Namespace(name).delete()
        self._supervisor.stop(self._supervisor.started_names())
        self._supervisor.stop_strays()
