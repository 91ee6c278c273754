# SPDX-License-Identifier: Apache-2.0
"""What one holds in hand to deal with a single service or compute host of a running lab."""

from dataclasses import dataclass
from typing import Literal

from lab.cloud.bring_up import probe_http
from lab.core.errors import RefusalError
from lab.core.process import Supervisor
from lab.core.service import Service
from lab.core.waiting import wait_for
from lab.hosts import ComputeHost
from lab.hosts.real import RealHost


@dataclass(frozen=True)
class ServiceStatus:
    """How a service does: ``running``, ``dead`` (ended unasked) or ``stopped`` (never started, or told to)."""

    name: str
    host: str | None
    pid: int | None
    port: int | None
    state: Literal["running", "dead", "stopped"]


class ServiceHandle:
    """One service of a lab."""

    def __init__(self, service: Service, supervisor: Supervisor) -> None:
        self._service = service
        self._supervisor = supervisor

    def start(self) -> bool:
        """Start it unless it runs; if it speaks HTTP, wait until it answers. Returns whether it had to be started."""
        started = self._supervisor.start(self._service)
        name = self._service.name
        if self._service.url:
            wait_for(f"{name} to answer", lambda: probe_http(self._service), self._supervisor, [name])
        return started

    def stop(self) -> bool:
        """Ask it to end and wait until it has. Returns whether it ran."""
        return bool(self._supervisor.stop([self._service.name]))

    def kill(self) -> bool:
        """Kill it with SIGKILL, children included. Returns whether it ran."""
        return bool(self._supervisor.kill([self._service.name]))

    def restart(self) -> None:
        """Stop it gracefully and start it again."""
        self.stop()
        self.start()

    def status(self) -> ServiceStatus:
        """Return how it does now."""
        service = self._service
        pid = self._supervisor.pid(service.name)
        state: Literal["running", "dead", "stopped"] = "running"
        if pid is None:
            state = "dead" if self._supervisor.was_started(service.name) else "stopped"
        return ServiceStatus(service.name, service.host, pid, service.port, state)


class Host:
    """One compute host of a lab, with whatever kind of host is behind it."""

    def __init__(self, host: ComputeHost, supervisor: Supervisor) -> None:
        self._host = host
        self._supervisor = supervisor

    @property
    def name(self) -> str:
        """Its name, as Nova knows it."""
        return self._host.name

    def kill(self) -> None:
        """Cut its power: every process dies at once, its memory is gone, its disk stays."""
        self._host.kill()

    def stop(self) -> None:
        """End its services gracefully; its guests and its disk stay."""
        self._host.stop()

    def start(self) -> None:
        """Switch it on; returns before Nova has seen it."""
        self._host.prepare()
        self._host.start()

    def restart_libvirtd(self) -> None:
        """End a real host's libvirtd gracefully and start it again; its guests go on."""
        self._real().restart_libvirtd()

    def cut_link(self, network: str = "replication") -> None:
        """Cut a real host off from a network, with nobody told.

        :param network: ``replication``, ``management`` or ``guest``
        """
        self._real().cut_link(network)

    def freeze(self) -> None:
        """Stop every process of a real host, with nobody told."""
        self._real().freeze()

    def heal(self) -> None:
        """End what freeze() and cut_link() have begun. If Nova has forced it down, nova-compute must be restarted there."""
        self._real().heal()

    def _real(self) -> RealHost:
        if not isinstance(self._host, RealHost):
            raise RefusalError(f"{self.name} is simulated; real hosts: python3 -m lab up --hypervisor real")
        if not self._host.machine.is_on():
            raise RefusalError(
                f"{self.name} has no power; switch it on: python3 -m lab host start {self.name}"
            )
        return self._host

    def is_running(self) -> bool:
        """Tell whether all of its services run."""
        return all(self._supervisor.is_running(service.name) for service in self._host.services())
