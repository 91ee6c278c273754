# SPDX-License-Identifier: Apache-2.0
"""What the real hosts of a lab have in common: the switch, this machine's place in their management network, and their client."""

from lab.cloud.spec import Spec
from lab.core.errors import LabError
from lab.core.process import Supervisor
from lab.machines.broker import Broker
from lab.machines.client import Client
from lab.machines.host import Host, Room
from lab.machines.management import Management, interface
from lab.machines.network import NAMESPACES, Namespace, Switch, mark


class Rack:
    """The machines of a lab.

    :ivar client: the machine from which guests are used
    :ivar machines: the hosts as machines, by the names that Nova has for them
    """

    def __init__(self, spec: Spec, supervisor: Supervisor) -> None:
        self._mark = mark(spec.layout.prefix)
        self._switch = Switch(self._namespace("switch"))
        self._management = Management(self._switch, interface(self._mark), spec.state.network)
        self.client = Client(self._namespace("client"), self._switch, spec.layout, supervisor)
        room = Room(spec.layout, supervisor, self._switch, self._management, self._broker)
        self.machines = {
            name: self._machine(name, number, room) for number, name in enumerate(spec.state.hosts, start=1)
        }

    def namespaces(self) -> list[str]:
        """Return the names of the network namespaces that are there."""
        return sorted(path.name for path in NAMESPACES.glob(f"{self._mark}-*"))

    def power_on(self) -> None:
        """Switch on what is not: the switch, and the client."""
        if not self._switch.namespace.exists():
            self._switch.create()
        if not self._management.is_plugged_in():
            self._management.plug_in()
        if not self.client.namespace.exists():
            self.client.power_on()

    def remove(self) -> None:
        """Cut the power of all of it, and remove it; the hosts' disks stay."""
        self.client.power_off()
        for machine in self.machines.values():
            machine.power_cut()
        self._management.unplug()
        self._switch.namespace.delete()

    def _machine(self, name: str, number: int, room: Room) -> Host:
        short = name.removeprefix("compute-")
        return Host(short, number, room, self._namespace(short))

    def _namespace(self, part: str) -> Namespace:
        return Namespace(f"{self._mark}-{part}")

    def _broker(self) -> Broker:
        raise LabError("a lab has a broker of its own")
