# SPDX-License-Identifier: Apache-2.0
"""The testbed of a lab with real hosts: the hosts as machines, the switch between them, and a client."""

from lab.cloud.spec import Spec
from lab.core.errors import LabError
from lab.core.process import Supervisor
from lab.machines.broker import Broker
from lab.machines.client import Client
from lab.machines.host import Host, Infrastructure
from lab.machines.management import Management, interface
from lab.machines.network import NAMESPACES, Namespace, Switch, mark


class CloudTestbed:
    """The machines of a lab with real hosts.

    :ivar client: the machine that connects to the guests
    :ivar machines: the hosts as machines, by their names in Nova
    """

    def __init__(self, spec: Spec, supervisor: Supervisor) -> None:
        self._mark = mark(spec.layout.prefix)
        self._switch = Switch(self._namespace("switch"))
        self._management = Management(self._switch, interface(self._mark), spec.state.network)
        self.client = Client(self._namespace("client"), self._switch, spec.layout, supervisor)
        infrastructure = Infrastructure(spec.layout, supervisor, self._switch, self._management, self._broker)
        self.machines = {
            name: self._machine(name, number, infrastructure)
            for number, name in enumerate(spec.state.hosts, start=1)
        }

    def namespaces(self) -> list[str]:
        """Return the names of the existing network namespaces."""
        return sorted(path.name for path in NAMESPACES.glob(f"{self._mark}-*"))

    def power_on(self) -> None:
        """Power on the switch and the client, and connect this machine, unless that was done."""
        if not self._switch.namespace.exists():
            self._switch.create()
        if not self._management.is_plugged_in():
            self._management.plug_in()
        if not self.client.namespace.exists():
            self.client.power_on()

    def remove(self) -> None:
        """Power off and remove all machines; the hosts' disks remain."""
        self.client.power_off()
        for machine in self.machines.values():
            machine.power_cut()
        self._management.unplug()
        self._switch.namespace.delete()

    def _machine(self, name: str, number: int, infrastructure: Infrastructure) -> Host:
        short = name.removeprefix("compute-")
        return Host(short, number, infrastructure, self._namespace(short))

    def _namespace(self, part: str) -> Namespace:
        return Namespace(f"{self._mark}-{part}")

    def _broker(self) -> Broker:
        raise LabError("a lab has a broker of its own")
