# SPDX-License-Identifier: Apache-2.0
"""One lab as a Python object: what the command line and the tests' fixtures use."""

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
from lab.hosts.real import Rack, RealHost
from lab.hosts.simulated import SimulatedHost
from lab.machines.management import free_network


class Lab:
    """A whole OpenStack under one prefix.

    The object holds nothing that is not on disk: several of them, in several processes, may speak of the same lab.

    :param prefix: folder of the lab; ``<repository>/.lab/run`` when not given
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
        """Bring the lab up and wait until all of it answers. May be repeated: what runs is left alone.

        What is not given stays as it was, or is 3 simulated hosts, with dashboard, with demo servers, with fault tolerance.

        :param hosts: number of compute hosts; may grow, not shrink
        :param dashboard: whether Horizon is part of it
        :param demo: whether the servers web-1, web-2 (FT) and plain-1 are made in the project demo
        :param colo: whether fault tolerance is part of it; without, it is a stock OpenStack
        :param theme: Horizon's, one of state.THEMES; another one than before is compressed anew, which takes half a minute
        :param hypervisor: what its hosts have, one of state.HYPERVISORS
        :param short_intervals: whether its services look and retry more often than a cloud's would, for tests that wait for that
        :raises RefusalError: when that cannot be, with nothing changed
        :raises LabError: when a service died or did not answer in time; says which, with the end of its log
        """
        self.layout.create()
        with self._changing():
            clock = Clock(self._show)
            self._supervisor.stop_strays()
            spec = self._choose(hosts, dashboard, demo, colo, theme, hypervisor, short_intervals)
            services = {service.name: service for service in control_plane(spec)}
            BringUp(spec, self._supervisor, services, self._hosts(spec), clock, self._rack(spec)).run()
            self._verify()

    def is_complete(self) -> bool:
        """Tell whether all of it runs, and its APIs answer."""
        statuses = self.status()
        if not statuses or any(status.state != "running" for status in statuses):
            return False
        if self.spec().state.demo and not (self.layout.done / "servers").exists():
            return False
        with contextlib.suppress(Exception):
            return all(probe_http(service) is None for service in self.services())
        return False

    def down(self, purge: bool = False) -> bool:
        """Stop what ``up`` has started, and nothing else. Returns whether there was anything to stop.

        :param purge: also remove the prefix with all data
        """
        if not self.layout.prefix.is_dir():
            return False
        with self._changing():
            last = [name for group in LAST_TO_STOP for name in group]
            stopped = self._supervisor.stop(n for n in self._supervisor.started_names() if n not in last)
            for group in LAST_TO_STOP:
                stopped += self._supervisor.stop(group)
            state = State.load(self.layout)
            if state and (rack := self._rack(Spec(self.layout, state, {}))):
                rack.remove()
            strays = self._supervisor.stop_strays()
        if purge:
            shutil.rmtree(self.layout.prefix)
        return bool(stopped) or strays > 0

    def status(self) -> list[ServiceStatus]:
        """Return every service of the lab with its state; an empty list when the lab was never brought up."""
        if State.load(self.layout) is None:
            return []
        return [self.service(service.name).status() for service in self.services()]

    def is_up(self) -> bool:
        """Tell whether any of the lab runs."""
        return any(status.state == "running" for status in self.status())

    # ---- what it consists of

    def spec(self) -> Spec:
        """Return the description of the lab. Raises NotUpError when it was never brought up."""
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

        :raises RefusalError: when there is no such service; names the known ones
        """
        known = {service.name: service for service in self.services()}
        if name not in known:
            raise RefusalError(f"no service {name!r}; there are: {', '.join(known)}")
        return ServiceHandle(known[name], self._supervisor)

    def hosts(self) -> list[str]:
        """Return the names of the compute hosts."""
        return list(self.spec().state.hosts)

    def host(self, name: str) -> Host:
        """Return a handle on one compute host: ``kill()`` (power cut), ``stop()``, ``start()``, ``is_running()``.

        :raises RefusalError: when there is no such host; names the known ones
        """
        known = {host.name: host for host in self._hosts(self.spec())}
        if name not in known:
            raise RefusalError(f"no compute host {name!r}; there are: {', '.join(known)}")
        return Host(known[name], self._supervisor)

    # ---- how to reach it

    def url(self, what: str) -> str:
        """Return a URL: of ``dashboard``, ``identity``, ``compute``, ``image``, ``network`` or ``placement``."""
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

    # ---- inside

    def _check_user(self, user: str) -> None:
        if user not in USERS:
            raise RefusalError(f"no user {user!r}; there are: {', '.join(USERS)}")

    def _hosts(self, spec: Spec) -> list[ComputeHost]:
        rack = self._rack(spec)
        if rack is None:
            return [SimulatedHost(name, spec, self._supervisor) for name in spec.state.hosts]
        return [RealHost(name, spec, self._supervisor, rack) for name in spec.state.hosts]

    def rack(self) -> Rack:
        """Return the machines of a lab with real hosts.

        :raises RefusalError: when its hosts are simulated
        """
        rack = self._rack(self.spec())
        if rack is None:
            raise RefusalError(
                "the hosts of this lab are simulated; real ones: python3 -m lab up --hypervisor real"
            )
        return rack

    def _rack(self, spec: Spec) -> Rack | None:
        return Rack(spec, self._supervisor) if spec.is_real else None

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
        """Settle what this lab is, and keep it."""
        kept = State.load(self.layout)
        state = kept or State()
        if hosts is not None and kept is not None:
            state.grow_to(hosts)
        elif hosts is not None:
            state = State.with_hosts(hosts)
        if colo is not None and kept is not None and colo != kept.colo:
            raise RefusalError(
                "fault tolerance is chosen at the first up; start anew: python3 -m lab down --purge"
            )
        if hypervisor is not None and kept is not None and hypervisor != kept.hypervisor:
            raise RefusalError(
                "the hypervisor is chosen at the first up; start anew: python3 -m lab down --purge"
            )
        state.hypervisor = hypervisor or state.hypervisor
        state.dashboard = state.dashboard if dashboard is None else dashboard
        state.theme = state.theme if theme is None else theme
        state.demo = state.demo if demo is None else demo
        state.colo = state.colo if colo is None else colo
        state.short_intervals = state.short_intervals if short_intervals is None else short_intervals
        running = [name for name in self._supervisor.started_names() if self._supervisor.is_running(name)]
        if state.hypervisor == "real" and not running:
            if kept and (left := self._rack(Spec(self.layout, kept, {}))):
                left.remove()  # of an up that was interrupted
            state.network = free_network()
        broker = ["rabbitmq-distribution"] if "rabbitmq" in running else []
        try:
            state.ports = ports.choose(state.ports, [*running, *broker])
        except OSError as error:
            raise RefusalError(str(error)) from error
        if kept and kept.ports and running and state.ports != kept.ports:
            moved = [name for name, port in kept.ports.items() if state.ports[name] != port]
            raise RefusalError(
                f"somebody else has taken the port of {', '.join(moved)} while the rest of the lab runs;"
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
        """Let one command at a time change the lab. The lock goes with the process that holds it."""
        with self.layout.lock_file.open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LabError(
                    f"another command is bringing the lab at {self.layout.prefix} up or down"
                ) from None
            yield
