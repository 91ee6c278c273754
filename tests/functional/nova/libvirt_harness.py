# SPDX-License-Identifier: Apache-2.0
"""The cloud of harness.py with the libvirt driver on Nova's fakelibvirt.

It has no replication backend for QEMU: a test creates the secondary with
:meth:`ColoLibvirtTestCase.make_secondary`, and sets the role of each host.
"""

import re
from typing import Any

import fixtures
from nova.tests.fixtures import libvirt as fakelibvirt
from nova.tests.functional.libvirt import base

from nova_colo.hoststate.roles import RoleRecord
from nova_colo.pair.model import Role
from tests.functional.nova.harness import ColoCloud, Host


class DefineOverRunning(fixtures.Fixture):
    """Make fakelibvirt behave like libvirt: to define a domain that runs does not end it."""

    def _setUp(self) -> None:  # noqa: N802
        stock = fakelibvirt.Connection.defineXML

        def define(connection: Any, xml: str) -> Any:
            name = re.search("<name>(.*?)</name>", xml)[1]
            before = connection._vms.get(name)
            domain = stock(connection, xml)
            if before is not None and before.isActive():
                domain._state = before._state
                running = connection._running_vms
                running.update({number: domain for number, other in running.items() if other is before})
            return domain

        self.useFixture(fixtures.MockPatchObject(fakelibvirt.Connection, "defineXML", define))


class ColoLibvirtTestCase(ColoCloud, base.ServersTestBase):
    """Hosts h1 and h2 with ColoLibvirtDriver."""

    microversion = "latest"
    ADMIN_API = True
    CAST_AS_CALL = False
    host_names = ("h1", "h2")

    def setUp(self) -> None:
        """Start the services."""
        self.prepare_colo()
        self.useFixture(DefineOverRunning())
        super().setUp()
        self.flags(compute_driver="colo.ColoLibvirtDriver")
        for name in self.host_names:
            path = self.new_state_path(name)
            self.start_compute(hostname=name)
            self.hosts[name] = Host(name, self.computes[name], path, self.simulated)

    def restart_host(self, name: str) -> Host:
        """Restart a host's nova-compute; its domains are kept."""
        self.new_state_path(name)
        self.restart_compute_service(name)
        self.hosts[name].compute = self.computes[name]
        return self.hosts[name]

    def set_role(
        self, host: str, server: dict[str, Any], role: Role, epoch: int = 0, peer: str | None = None
    ) -> None:
        """Set the role of a host for a server, as its agent would."""
        self.hosts[host].roles.put(RoleRecord(server["id"], role, epoch, peer))

    def domain(self, host: str, server: dict[str, Any]) -> Any:
        """Return a host's domain of a server, or None."""
        connection = self.hosts[host].driver._host.get_connection()
        return next((dom for dom in connection._vms.values() if dom.UUIDString() == server["id"]), None)

    def make_secondary(self, server: dict[str, Any], primary: str, secondary: str) -> Any:
        """Start a server's secondary, with the same name and id, set both roles and return its domain."""
        xml = self.domain(primary, server).XMLDesc(0)
        domain = self.hosts[secondary].driver._host.get_connection().createXML(xml, 0)
        self.set_role(primary, server, Role.PRIMARY, peer=secondary)
        self.set_role(secondary, server, Role.SECONDARY, peer=primary)
        return domain
