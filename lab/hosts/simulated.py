# SPDX-License-Identifier: Apache-2.0
"""Simulated compute hosts: a few processes on loopback, with simulated guests."""

import shutil
from collections.abc import Mapping

from lab.cloud.config import colo, nova
from lab.cloud.config.ini import Sections, render
from lab.cloud.services import program
from lab.cloud.spec import Spec
from lab.core.layout import write_private
from lab.core.process import Supervisor
from lab.core.service import Service
from lab.hosts import parts


class SimulatedHost:
    """A compute host without a hypervisor.

    Its disk is PREFIX/hosts/NAME; its memory, which a power cut deletes, is PREFIX/simulated/NAME.
    """

    def __init__(self, name: str, spec: Spec, supervisor: Supervisor) -> None:
        self.name = name
        self._spec = spec
        self._supervisor = supervisor
        self._etc = spec.layout.etc / "hosts" / name

    def prepare(self) -> None:
        """Write nova.conf and, with fault tolerance, agent.conf."""
        disk = self._spec.layout.host(self.name)
        for folder in (disk / "nova", disk / "state"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._etc / "nova.conf", render(self._nova_conf()))
        if self._spec.state.colo:
            write_private(self._etc / "agent.conf", render(colo.agent_conf(self._spec, self.name)))

    def services(self) -> list[Service]:
        """Return nova-compute and, with fault tolerance, the agent."""
        return parts.services(self._spec, self._service)

    def start(self) -> None:
        """Start its services, agent first."""
        for service in self.services():
            self._supervisor.start(service)

    def stop(self) -> None:
        """Stop its services; simulated guests keep running, as QEMU processes would."""
        self._supervisor.stop(service.name for service in self.services())

    def kill(self) -> None:
        """Kill its services with SIGKILL and delete its memory."""
        self._supervisor.kill(service.name for service in self.services())
        shutil.rmtree(self._spec.layout.simulated / self.name, ignore_errors=True)

    def env(self) -> Mapping[str, str]:
        """Return no variables: a simulated host has no namespaces."""
        return {}

    def _service(self, part: str, command: str, config: str) -> Service:
        arguments = (program(command), "--config-file", str(self._etc / config))
        return Service(f"{self.name}-{part}", arguments, self.env(), host=self.name)

    def _nova_conf(self) -> Sections:
        if not self._spec.state.colo:
            return nova.compute_conf(self._spec, self.name, nova.STOCK_DRIVER, {})
        driver: Sections = {
            "colo": {
                "agent_state_path": self._spec.layout.host(self.name) / "state",
                "simulated_directory": self._spec.layout.simulated,
            }
        }
        return nova.compute_conf(self._spec, self.name, "colo.ColoFakeDriver", driver)
