# SPDX-License-Identifier: Apache-2.0
"""One lab as a Python object, for the command line and the tests' fixtures."""

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

from lab.cloud.bring_up import BringUp, probe_http
from lab.cloud.handles import Host, ServiceHandle, ServiceStatus
from lab.cloud.services import LAST_TO_STOP, control_plane
from lab.cloud.spec import CATALOG, Spec
from lab.core import ports
from lab.core.errors import LabError, NotUpError, RefusalError
from lab.core.layout import Layout
from lab.core.plan import Clock, Show
from lab.core.process import Supervisor
from lab.core.service import Service
from lab.core.state import USERS, State, ensure_passwords, load_passwords
from lab.hosts import ComputeHost
from lab.hosts.real import CloudTestbed, RealHost
from lab.hosts.simulated import SimulatedHost
from lab.machines.management import free_network


class Lab:
    """A whole OpenStack under one prefix.

    All state is on disk, so that several objects, in several processes, can represent the same lab.

    :param prefix: folder of the lab, by default ``<repository>/.lab/run``
    :param show: called with each line of progress
    """

    def __init__(self, prefix: str | Path | None = None, show: Show = print) -> None:
        self.layout = Layout.at(prefix)
        self._show = show
        self._supervisor = Supervisor(self.layout)

    # ---- the whole lab

    def up(
        self,
        hosts: int | None = None,
        dashboard: bool | None = None,
        demo: bool | None = None,
        colo: bool | None = None,
        theme: str | None = None,
        hypervisor: str | None = None,
        short_intervals: bool | None = None,
    ) -> None:
        """Bring the lab up and wait until all of it answers. Services that run are not restarted.

        Omitted settings are unchanged. Those of a new lab are 3 simulated hosts, with dashboard, demo servers
        and fault tolerance.

        :param hosts: number of compute hosts; may grow, not shrink
        :param dashboard: start Horizon
        :param demo: create the servers web-1, web-2 (FT) and plain-1 in the project demo
        :param colo: add fault tolerance; else it is a stock OpenStack
        :param theme: Horizon's theme, one of state.THEMES; to compress another one takes half a minute
        :param hypervisor: kind of its hosts, one of state.HYPERVISORS
        :param short_intervals: poll and retry more often than a cloud would, for tests that wait for it
        :raises RefusalError: the settings are not possible; nothing was changed
        :raises LabError: a service died or did not answer in time; has its name and the end of its log
        """
        self.layout.create()
        with self._changing():
            clock = Clock(self._show)
            self._supervisor.stop_strays()
            spec = self._choose(hosts, dashboard, demo, colo, theme, hypervisor, short_intervals)
            services = {service.name: service for service in control_plane(spec)}
            BringUp(spec, self._supervisor, services, self._hosts(spec), clock, self._testbed(spec)).run()
            self._verify()

    def is_complete(self) -> bool:
        """Return whether all services run and the APIs answer."""
        statuses = self.status()
        if not statuses or any(status.state != "running" for status in statuses):
            return False
        if self.spec().state.demo and not (self.layout.done / "servers").exists():
            return False
        with contextlib.suppress(Exception):
            return all(probe_http(service) is None for service in self.services())
        return False

    def down(self, purge: bool = False) -> bool:
        """Stop the processes that ``up`` has started, and no others. Return whether there were any.

        :param purge: also delete the prefix with all data
        """
        if not self.layout.prefix.is_dir():
            return False
        with self._changing():
            last = [name for group in LAST_TO_STOP for name in group]
            stopped = self._supervisor.stop(n for n in self._supervisor.started_names() if n not in last)
            for group in LAST_TO_STOP:
                stopped += self._supervisor.stop(group)
            state = State.load(self.layout)
            if state and (testbed := self._testbed(Spec(self.layout, state, {}))):
                testbed.remove()
            strays = self._supervisor.stop_strays()
        if purge:
            shutil.rmtree(self.layout.prefix)
        return bool(stopped) or strays > 0

    def status(self) -> list[ServiceStatus]:
        """Return the status of every service; an empty list if the lab was never brought up."""
        if State.load(self.layout) is None:
            return []
        return [self.service(service.name).status() for service in self.services()]

    def is_up(self) -> bool:
        """Return whether any service runs."""
        return any(status.state == "running" for status in self.status())

    # ---- components

    def spec(self) -> Spec:
        """Return the description of the lab.

        :raises NotUpError: it was never brought up
        """
        state = State.load(self.layout)
        if state is None:
            raise NotUpError(f"no lab at {self.layout.prefix}; start one: python3 -m lab up")
        return Spec(self.layout, state, load_passwords(self.layout))

    def services(self) -> list[Service]:
        """Return all services, the control plane's first, then host by host."""
        spec = self.spec()
        return control_plane(spec) + [service for host in self._hosts(spec) for service in host.services()]

    def service(self, name: str) -> ServiceHandle:
        """Return a handle on one service: ``start()``, ``stop()``, ``kill()``, ``restart()``, ``status()``.

        :raises RefusalError: there is no such service; the message lists the services
        """
        known = {service.name: service for service in self.services()}
        if name not in known:
            raise RefusalError(f"no service {name!r}; there are: {', '.join(known)}")
        return ServiceHandle(known[name], self._supervisor)

    def hosts(self) -> list[str]:
        """Return the names of the compute hosts."""
        return list(self.spec().state.hosts)

    def host(self, name: str) -> Host:
        """Return a handle on one compute host: ``kill()`` (power off), ``stop()``, ``start()``, ...

        :raises RefusalError: there is no such host; the message lists the hosts
        """
        known = {host.name: host for host in self._hosts(self.spec())}
        if name not in known:
            raise RefusalError(f"no compute host {name!r}; there are: {', '.join(known)}")
        return Host(known[name], self._supervisor)

    # ---- access

    def url(self, what: str) -> str:
        """Return the URL of ``dashboard``, ``identity``, or of another service in the catalog."""
        spec = self.spec()
        if what == "dashboard":
            return spec.address("horizon", "/")
        if what != "identity" and what not in CATALOG:
            raise RefusalError(f"no URL {what!r}; there are: dashboard, identity, {', '.join(CATALOG)}")
        return spec.endpoint(what)

    def password(self, user: str) -> str:
        """Return the password of a cloud user: admin, demo, manager, viewer, outsider or service."""
        self._check_user(user)
        return self.spec().passwords[user]

    def env(self, user: str, project: str | None = None) -> dict[str, str]:
        """Return the OS_* variables for a cloud user, in its own project or in ``project``."""
        self._check_user(user)
        return self.spec().user_environment(user, project)

    # ---- internal

    def _check_user(self, user: str) -> None:
        if user not in USERS:
            raise RefusalError(f"no user {user!r}; there are: {', '.join(USERS)}")

    def _hosts(self, spec: Spec) -> list[ComputeHost]:
        testbed = self._testbed(spec)
        if testbed is None:
            return [SimulatedHost(name, spec, self._supervisor) for name in spec.state.hosts]
        return [RealHost(name, spec, self._supervisor, testbed) for name in spec.state.hosts]

    def testbed(self) -> CloudTestbed:
        """Return the testbed of a lab with real hosts.

        :raises RefusalError: its hosts are simulated
        """
        testbed = self._testbed(self.spec())
        if testbed is None:
            raise RefusalError(
                "the hosts of this lab are simulated; real ones: python3 -m lab up --hypervisor real"
            )
        return testbed

    def _testbed(self, spec: Spec) -> CloudTestbed | None:
        return CloudTestbed(spec, self._supervisor) if spec.is_real else None

    def _choose(
        self,
        hosts: int | None,
        dashboard: bool | None,
        demo: bool | None,
        colo: bool | None,
        theme: str | None,
        hypervisor: str | None,
        short_intervals: bool | None,
    ) -> Spec:
        """Determine the settings of this lab, and store them."""
        saved = State.load(self.layout)
        state = saved or State()
        if hosts is not None and saved is not None:
            state.grow_to(hosts)
        elif hosts is not None:
            state = State.with_hosts(hosts)
        if colo is not None and saved is not None and colo != saved.colo:
            raise RefusalError(
                "fault tolerance cannot be changed after the first up;"
                " delete the lab first: python3 -m lab down --purge"
            )
        if hypervisor is not None and saved is not None and hypervisor != saved.hypervisor:
            raise RefusalError(
                "the hypervisor cannot be changed after the first up;"
                " delete the lab first: python3 -m lab down --purge"
            )
        state.hypervisor = hypervisor or state.hypervisor
        state.dashboard = state.dashboard if dashboard is None else dashboard
        state.theme = state.theme if theme is None else theme
        state.demo = state.demo if demo is None else demo
        state.colo = state.colo if colo is None else colo
        state.short_intervals = state.short_intervals if short_intervals is None else short_intervals
        running = [name for name in self._supervisor.started_names() if self._supervisor.is_running(name)]
        if state.hypervisor == "real" and not running:
            if saved and (testbed := self._testbed(Spec(self.layout, saved, {}))):
                testbed.remove()  # left by an interrupted up
            state.network = free_network()
        broker = ["rabbitmq-distribution"] if "rabbitmq" in running else []
        try:
            state.ports = ports.choose(state.ports, [*running, *broker])
        except OSError as error:
            raise RefusalError(str(error)) from error
        if saved and saved.ports and running and state.ports != saved.ports:
            moved = [name for name, port in saved.ports.items() if state.ports[name] != port]
            raise RefusalError(
                f"another process uses the port of {', '.join(moved)} while other services of the lab run;"
                " stop the lab first: python3 -m lab down"
            )
        state.save(self.layout)
        return Spec(self.layout, state, ensure_passwords(self.layout))

    def _verify(self) -> None:
        dead = [status.name for status in self.status() if status.state != "running"]
        if dead:
            tails = "\n".join(self._supervisor.log_tail(name) for name in dead)
            raise LabError(f"not running: {', '.join(dead)}\n{tails}")

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Lock the lab, so that one command at a time changes it. The lock ends with its process."""
        with self.layout.lock_file.open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LabError(
                    f"another command is bringing the lab at {self.layout.prefix} up or down"
                ) from None
            yield
