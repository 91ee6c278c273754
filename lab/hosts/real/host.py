# SPDX-License-Identifier: Apache-2.0
"""A compute host with libvirt and QEMU."""

import os
from collections.abc import Mapping

from lab.cloud.config import colo, hosts
from lab.cloud.config.ini import Sections, render
from lab.cloud.services import program
from lab.cloud.spec import Spec
from lab.core.layout import REPO, write_private
from lab.core.process import Supervisor
from lab.core.service import Service
from lab.core.state import LINKS
from lab.guest import boot_disk
from lab.guest.image import GuestImage
from lab.hosts import parts
from lab.hosts.real.testbed import CloudTestbed
from lab.machines import users
from lab.machines.agent import RUNTIME_DIRECTORY
from lab.machines.host import Host
from lab.machines.libvirtd import has_kvm
from lab.machines.network import Link


class RealHost:
    """A compute host with libvirt and QEMU in namespaces of its own.

    :ivar machine: the host as a machine: its links, its power, its processes
    """

    def __init__(self, name: str, spec: Spec, supervisor: Supervisor, testbed: CloudTestbed) -> None:
        self.name = name
        self.machine: Host = testbed.machines[name]
        self._spec = spec
        self._supervisor = supervisor
        self._etc = spec.layout.etc / "hosts" / name

    def prepare(self) -> None:
        """Write nova.conf and, with fault tolerance, agent.conf."""
        for folder in (self.machine.nova_path, self.machine.state_path):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            users.NOVA.own_all(folder)
        for name, text in hosts.plugin_files().items():
            write_private(self._etc / name, text)
        write_private(self._etc / "nova.conf", render(self._nova_conf()))
        if self._spec.state.colo:
            write_private(self._etc / "agent.conf", render(self._agent_conf()))
            write_private(self._etc / hosts.ENGINE_KEYS, colo.public_key_file(self._spec).read_text())
        users.NOVA.own_all(self._etc)
        for folder in (self._etc.parent, self._etc.parent.parent):
            folder.chmod(0o711)  # entered, not listed

    def services(self) -> list[Service]:
        """Return nova-compute and, with fault tolerance, the agent."""
        return parts.services(self._spec, self._service)

    def start(self) -> None:
        """Power it on, and start its services, agent first."""
        self._configure_libvirtd()
        self.machine.power_on()
        for service in self.services():
            self._supervisor.start(service)

    def stop(self) -> None:
        """Stop its services; its guests keep running."""
        self._supervisor.stop(service.name for service in self.services())

    def kill(self) -> None:
        """Power it off."""
        names = [service.name for service in self.services()]
        self.machine.power_cut()
        self._supervisor.kill(names)

    def restart_libvirtd(self) -> None:
        """Restart libvirtd gracefully; its guests keep running."""
        self._configure_libvirtd()
        self.machine.restart_libvirtd()

    def _configure_libvirtd(self) -> None:
        """Enable live migrations, and the emulator if there is no KVM."""
        self.machine.migrates = True
        if not has_kvm():
            self.machine.emulator = boot_disk.emulator(GuestImage.ensure())

    def cut_link(self, network: str) -> None:
        """Drop all frames between the host and a network, silently.

        :param network: one of LINKS
        """
        self._links()[network].cut()

    def freeze(self) -> None:
        """Stop all its processes with SIGSTOP."""
        self.machine.freeze()

    def heal(self) -> None:
        """Continue frozen processes, and restore links."""
        for link in self._links().values():
            link.restore()
        self.machine.thaw()

    def _links(self) -> dict[str, Link]:
        machine = self.machine
        return dict(zip(LINKS, (machine.replication, machine.management, machine.guest_network), strict=True))

    def env(self) -> Mapping[str, str]:
        """Return the path with the lab's os-vif plugin."""
        return {"PYTHONPATH": f"{self._etc}{os.pathsep}{REPO}"}

    def _service(self, part: str, command: str, config: str) -> Service:
        argv = (program(command), "--config-file", str(self._etc / config))
        if self.machine.is_on():
            inside = self.machine.command(argv, users.NOVA)
        else:
            inside = ["/bin/sh", "-c", f"echo {self.name} is powered off >&2; exit 1"]
        return Service(f"{self.name}-{part}", tuple(inside), self.env(), host=self.name)

    def _nova_conf(self) -> Sections:
        return hosts.compute_conf(self._spec, self.name, self.machine, emulated=not has_kvm())

    def _agent_conf(self) -> Sections:
        return hosts.agent_conf(self._spec, self.name, self.machine, RUNTIME_DIRECTORY)
