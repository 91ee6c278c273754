# SPDX-License-Identifier: Apache-2.0
"""Handles on single services and compute hosts of a running lab."""

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
    """The state of a service: ``running``, ``dead`` (ended by itself) or ``stopped`` (or never started)."""

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
        """Start it unless it runs, and wait until it answers HTTP, if any. Return whether it was started."""
        started = self._supervisor.start(self._service)
        name = self._service.name
        if self._service.url:
            wait_for(f"{name} to answer", lambda: probe_http(self._service), self._supervisor, [name])
        return started

    def stop(self) -> bool:
        """Terminate it and wait for its end. Return whether it ran."""
        return bool(self._supervisor.stop([self._service.name]))

    def kill(self) -> bool:
        """Kill it with SIGKILL, children included. Return whether it ran."""
        return bool(self._supervisor.kill([self._service.name]))

    def restart(self) -> None:
        """Stop it gracefully and start it again."""
        self.stop()
        self.start()

    def status(self) -> ServiceStatus:
        """Return its current state."""
        service = self._service
        pid = self._supervisor.pid(service.name)
        state: Literal["running", "dead", "stopped"] = "running"
        if pid is None:
            state = "dead" if self._supervisor.was_started(service.name) else "stopped"
        return ServiceStatus(service.name, service.host, pid, service.port, state)


class Host:
    """One compute host of a lab, of either kind."""

    def __init__(self, host: ComputeHost, supervisor: Supervisor) -> None:
        self._host = host
        self._supervisor = supervisor

    @property
    def name(self) -> str:
        """Its name in Nova."""
        return self._host.name

    def kill(self) -> None:
        """Power it off: all processes end at once, its memory is lost, its disk remains."""
        self._host.kill()

    def stop(self) -> None:
        """Stop its services gracefully; its guests and its disk remain."""
        self._host.stop()

    def start(self) -> None:
        """Power it on; do not wait until it is up in Nova."""
        self._host.prepare()
        self._host.start()

    def restart_libvirtd(self) -> None:
        """Restart a real host's libvirtd gracefully; its guests keep running."""
        self._real().restart_libvirtd()

    def cut_link(self, network: str = "replication") -> None:
        """Disconnect a real host from a network, silently.

        :param network: ``replication``, ``management`` or ``guest``
        """
        self._real().cut_link(network)

    def freeze(self) -> None:
        """Stop every process of a real host with SIGSTOP."""
        self._real().freeze()

    def heal(self) -> None:
        """Revert freeze() and cut_link(). If Nova has forced the host down, restart its nova-compute too."""
        self._real().heal()

    def _real(self) -> RealHost:
        if not isinstance(self._host, RealHost):
            raise RefusalError(f"{self.name} is simulated; real hosts: python3 -m lab up --hypervisor real")
        if not self._host.machine.is_on():
            raise RefusalError(
                f"{self.name} is powered off; power it on: python3 -m lab host start {self.name}"
            )
        return self._host

    def is_running(self) -> bool:
        """Return whether all of its services run."""
        return all(self._supervisor.is_running(service.name) for service in self._host.services())
