# SPDX-License-Identifier: Apache-2.0
"""A cloud of three hosts in one thread, with failures between any two steps.

Real: the FT database (SQLite) with all its queries, the engine's lease, reconciler, runner, workflows,
selection and repair of reservations, the agents' managers with the simulated backend and their role files.
Nova, Placement and the network are small models.

Each thread of an engine is a greenlet that yields before every action visible to others: a transaction, a
call of an agent, a request to Nova or Placement. The test's driver decides which thread continues, and which
never does.

The state that clients have seen is modelled as a number that grows whenever a guest runs and may answer. A
guest that answers must have all of it in memory, so two replicas that answer at the same time, or one that
continues from an old state, are detected at once (:class:`SplitBrainError`).
"""

import contextlib
import functools
import json
import pathlib
import shutil
import sqlite3
import types
from collections.abc import Callable
from typing import Any
from unittest import mock

import greenlet
import oslo_messaging as messaging
import sqlalchemy as sa
import tenacity
from oslo_config import cfg
from oslo_db.sqlalchemy import engines
from oslo_utils import timeutils, uuidutils

from nova_colo import conf as colo_conf
from nova_colo.agent.replication import ReplicationError
from nova_colo.agent.rpcapi import AgentAPI
from nova_colo.db import Database, events, hosts, lease, operations, pairs
from nova_colo.db.models import BASE, Event
from nova_colo.engine import context, host_tracker, reconciler, runner
from nova_colo.engine.capacity import Capacity
from nova_colo.engine.host_gate import HostGate
from nova_colo.engine.reservation_repair import ReservationRepair
from nova_colo.engine.server_sync import ServerSync
from nova_colo.pair import actions
from nova_colo.pair.model import Health, Role, State
from nova_colo.simulator import hypervisor as hv
from nova_colo.virt import detach_pair
from tests.simulation.cloud import (
    HOSTS,
    NOT_COPIED,
    SERVER,
    AgentDied,
    Clock,
    Host,
    Neutron,
    Nova,
    Placement,
)
from tests.simulation.threads import Pausing, PausingDatabase, PausingEvent, PausingLock, Thread, pause

#: The health values that a pair may have in each state.
HEALTH_OF_STATE = {
    State.PROTECTED: set(Health),
    State.STARTING: {Health.WARNING},
    State.FAILING_OVER: {Health.WARNING},
    State.SUSPENDED: {Health.WARNING},
    State.UNPROTECTED: {Health.WARNING, Health.CRITICAL},
    State.DEGRADED: {Health.CRITICAL},
    State.ERROR: {Health.CRITICAL},
}


class SplitBrainError(AssertionError):
    """Clients were answered by two guests, or by one that had lost state which clients had seen."""


class Agents:
    """The network between engines and agents."""

    def __init__(self, world: "World"):
        self._world = world

    def call(self, host: str, method: str, **arguments: Any) -> Any:
        lost = self._world.take_loss(method)
        if lost == "request" or not self._world.hosts[host].answers_engine:
            raise messaging.MessagingTimeout()
        if lost == "late":
            self._world.late.append((host, method, arguments))
            raise messaging.MessagingTimeout()
        try:
            answer = self._world.do(host, method, arguments, lost)
        except AgentDied as error:
            raise messaging.MessagingTimeout() from error
        except ReplicationError as error:
            raise type(error)(error.reason.data()) from error  # like oslo.messaging deserializes it
        except Exception as error:
            raise messaging.RemoteError(type(error).__name__, str(error)) from error
        if lost == "answer":
            raise messaging.MessagingTimeout()
        return answer


class Engine:
    """A nova-colo-engine whose threads can each be stopped at any step."""

    def __init__(self, world: "World"):
        self._world = world
        self._threads: list[Thread] = []
        ctx = object.__new__(context.Context)
        ctx.conf, ctx.clock = world.conf, world.clock
        ctx.database = PausingDatabase(world.database)
        ctx.agent_client = Pausing(Agents(world))
        ctx.agent_api = AgentAPI(ctx._call_agent)
        ctx.nova = Pausing(world.nova)
        ctx.placement = Pausing(world.placement)
        ctx.neutron = Pausing(world.neutron)
        ctx.tracker = host_tracker.HostTracker(
            world.conf.agent.heartbeat_interval, world.conf.agent.missed_heartbeats, world.clock
        )
        ctx.gate = HostGate(ctx.nova)
        ctx.gate._lock = PausingLock()
        ctx.capacity = Capacity(ctx.database, ctx.nova, ctx.placement, ctx.tracker)
        self.context = ctx
        self._server_sync = ServerSync(ctx)
        self._reservations = ReservationRepair(ctx)
        self._candidate = lease.Candidate(
            world.database, uuidutils.generate_uuid(), world.conf.engine.lease_time, world.clock
        )
        self.deaf = False
        self._active: runner.Runner | None = None

    def _activate(self) -> None:
        """Start to act, like EngineService._act."""
        pool = types.SimpleNamespace(submit=self.spawn, shutdown=lambda **options: None)
        self._active = runner.Runner(self.context, executor=lambda workers, prefix: pool)
        self._active._stopping = PausingEvent()
        self._reconciler = reconciler.Reconciler(self.context, self._active)
        self._listens_from = self._world.clock() + 3

    def spawn(self, function: Callable[..., None], *args: Any) -> None:
        """Create a thread; it starts at its first turn."""
        self._threads.append(self._world.thread(functools.partial(function, *args) if args else function))

    def _begin(self, *functions: Callable[[], None]) -> None:
        """Start a periodic task, unless its last run has not ended."""
        running = {thread.function_name for thread in self._threads}
        for function in functions:
            if self._active is not None and function.__qualname__ not in running:
                self.spawn(function)

    def poll(self) -> None:
        """Renew the lease, and reconcile all pairs while it is held."""
        now = self._world.clock()
        self.context.tracker.tick()
        if not self._candidate.acquire(self.context.tracker.alive_count()):
            if self._active is not None:
                self._active.stop()
                self._active = None
            return
        if self._active is None:
            self._activate()
        if now >= self._listens_from:
            self._begin(self._reconciler.reconcile)

    @property
    def active(self) -> bool:
        """Whether the engine assumes that it holds the lease."""
        return self._active is not None

    def refresh(self) -> None:
        """Synchronize the pairs with Nova's servers."""
        self._begin(self._server_sync.refresh)

    def repair(self) -> None:
        """Repair reservations, and enable hosts that are back."""
        self._begin(
            self._reservations.repair, self.context.gate.enable_orphaned, self._server_sync.lift_fences
        )

    def threads(self) -> int:
        return len(self._threads)

    @property
    def runs_workflow(self) -> bool:
        """Whether one of its threads runs a workflow."""
        return any(thread.function_name.startswith("Runner.") for thread in self._threads)

    def take_workflow_threads(self) -> list[Thread]:
        """Take the workflows' threads away, as if their operations still waited for a busy pool."""
        held = [thread for thread in self._threads if thread.function_name.startswith("Runner.")]
        self._threads = [thread for thread in self._threads if thread not in held]
        return held

    def return_threads(self, held: list[Thread]) -> None:
        self._threads += held

    def run(self, number: int, turns: int) -> None:
        """Give one of its threads a number of turns."""
        thread = self._threads[number % len(self._threads)]
        for _ in range(turns):
            if thread.dead:
                break
            thread.switch()
            self._world.observe()
        self._threads = [thread for thread in self._threads if not thread.dead]

    def run_all(self, rounds: int = 400) -> None:
        """Give all threads turns until they have ended, at most a number of rounds."""
        for _ in range(rounds):
            for number in range(len(self._threads)):
                if number < len(self._threads):
                    self.run(number, 1)
            if not self._threads:
                return

    def kill(self) -> None:
        for thread in self._threads:
            thread.killed = True
            if thread:
                thread.switch()
        self._threads = []


class World:
    """The whole cloud; call ``close()`` at the end."""

    def __init__(self, folder: pathlib.Path):
        self._patches = contextlib.ExitStack()
        self.clock = Clock()
        time = types.SimpleNamespace(monotonic=self.clock, time=self.clock, sleep=lambda seconds: None)
        self._patches.enter_context(mock.patch.object(tenacity, "time", time))
        self._patches.enter_context(mock.patch.object(detach_pair, "sleep", lambda seconds: pause()))
        # otherwise each transaction ends with a sleep(0), which takes long on a busy machine
        self._patches.enter_context(mock.patch.object(engines, "_thread_yield", lambda *arguments: None))
        self._patches.callback(timeutils.clear_time_override)
        self.main = greenlet.getcurrent()
        self.conf = colo_conf.load([], [], conf=cfg.ConfigOpts())
        self.conf.set_override("connection", f"sqlite:///{folder}/ft.db", group="database")
        self.conf.set_override("lease_time", 2.0, group="engine")
        self.conf.set_override("heartbeat_interval", 1.0, group="agent")
        self.conf.set_override("missed_heartbeats", 3, group="agent")
        BASE.metadata.create_all(sa.create_engine(self.conf.database.connection))
        self.database = Database(self.conf)
        self.hosts = {name: Host(name, folder, self.clock) for name in HOSTS}
        with self.database.writer() as session:
            for name in HOSTS:
                hosts.put(session, name)
        self.nova, self.placement, self.neutron = Nova(self), Placement(), Neutron()
        self.late: list[tuple[str, str, dict[str, Any]]] = []
        self._loss, self._loss_method = "", None
        self._answered = 0
        self._grants: dict[int, str] = {}
        self._grants_table = sqlite3.connect(folder / "ft.db")
        self.hosts["a"].boot(0)
        self.engines = [Engine(self), Engine(self)]

    def thread(self, function: Callable[[], object]) -> Thread:
        """Return a thread; it starts at the first switch to it."""
        return Thread(function, self.main)

    def close(self) -> None:
        for engine in self.engines:
            engine.kill()
        self._grants_table.close()
        self._patches.close()

    # --- failures

    def lose_next(self, what: str, method: str | None = None) -> None:
        """Make the next call of an agent fail.

        :param what: ``request`` or ``answer``: that message is lost; ``late``: the request is executed later;
            ``before`` or ``after``: the agent is killed before or after it has changed its role files
        :param method: the method whose next call fails; any when not given
        """
        self._loss, self._loss_method = what, method

    def take_loss(self, method: str) -> str:
        if self._loss_method not in (None, method):
            return ""
        lost, self._loss = self._loss, ""
        return lost

    def power_cut(self, name: str) -> None:
        host = self.hosts[name]
        host.end_guest()
        shutil.rmtree(host.folder, ignore_errors=True)
        host.powered, host.link_up, host.down_since = False, True, self.clock()

    def power_on(self, name: str) -> None:
        host = self.hosts[name]
        if not host.powered:
            host.powered, host.agent_up, host.down_since = True, True, None
            self.nova.host_returns(host)

    def cut_link(self, name: str, cut: bool) -> None:
        host = self.hosts[name]
        host.folder.mkdir(parents=True, exist_ok=True)
        host.link_up = not cut
        if cut:
            (host.folder / "link-down").touch()
        else:
            (host.folder / "link-down").unlink(missing_ok=True)

    def deliver_late(self) -> None:
        """Execute a request on an agent after its caller has timed out."""
        host, method, arguments = self.late.pop(0)
        if self.hosts[host].answers_engine:
            with contextlib.suppress(Exception):
                self.do(host, method, arguments)

    def do(self, name: str, method: str, arguments: dict[str, Any], crash: str = "") -> Any:
        """Execute a request on an agent.

        :param crash: the agent is killed ``before`` or ``after`` it has changed its role files
        """
        host = self.hosts[name]
        guest, role, replicated = host.guest(), host.role(), host.replicates()
        host.roles.crash = crash
        try:
            return getattr(host.manager, method)({}, **arguments)
        except AgentDied:
            host.agent_up = False
            raise
        finally:
            host.roles.crash = ""
            if guest is not None and host.guest() is None:
                host.disk = host.memory
            remade = method == "prepare_secondary" and role is not None and role.role == Role.DEMOTED
            if host.guest() is not None and (guest is None or remade):
                host.memory = NOT_COPIED
            if host.replicates() and not replicated:
                self._copy(host, self.hosts[arguments["spec"]["secondary_host"]])
            self.observe()

    def _copy(self, source: Host, target: Host) -> None:
        if target.guest() == hv.PAUSED:
            target.memory = source.memory

    def heartbeat(self, name: str) -> None:
        """Send the report of a host's agent to all engines."""
        host = self.hosts[name]
        if host.answers_engine:
            report = json.loads(json.dumps(host.manager.report()))
            for engine in self.engines:
                if not engine.deaf:
                    engine.context.tracker.record_heartbeat(name, report)

    def second(self, seconds: float = 1.0, stalled: int | None = None) -> None:
        """Advance the clock, send all heartbeats, and start a round of each engine but a stalled one."""
        self.clock.advance(seconds)
        for name in HOSTS:
            self.heartbeat(name)
        for number, engine in enumerate(self.engines):
            if number != stalled:
                engine.poll()

    def kill_engine(self, number: int) -> None:
        self.engines[number].kill()
        self.engines[number] = Engine(self)

    def copy_database(self) -> sqlite3.Connection:
        """Return a copy of the database as it is now."""
        copy = sqlite3.connect(":memory:")
        self._grants_table.backup(copy)
        return copy

    def forget(self, copy: sqlite3.Connection) -> None:
        """Restore a copy of the database, which loses later commits, and restart the engines."""
        for number in range(len(self.engines)):
            self.kill_engine(number)
        copy.backup(self._grants_table)
        self._grants.clear()

    def ask(self, action: str, arguments: dict[str, Any]) -> None:
        """Do what the API does at a user's request."""
        with self.database.writer() as session:
            row = pairs.get(session, SERVER)
            if row is None or actions.refusal(
                action, pairs.to_model(row), force=arguments.get("force", False)
            ):
                return
            plan = actions.plan(action, pairs.to_model(row), arguments)
            if plan.kind is None:
                pairs.update_if_current(session, row, **plan.values)
            else:
                operations.start(session, row, plan.kind, plan.params.data(), requested_by="u", **plan.values)

    def users_may_act(self) -> bool:
        """Return whether nova-api allows a stop, start or reboot: not while Nova's records are updated."""
        row = self.row()
        return row is not None and row.state != State.FAILING_OVER and row.nova_host == row.primary_host

    def row(self) -> pairs.Pair | None:
        with self.database.reader() as session:
            return pairs.get(session, SERVER)

    # --- invariants

    def events(self) -> list[Event]:
        """Return the recorded events of the server, newest first."""
        with self.database.reader() as session:
            return events.newest(session, SERVER, 100)

    def observe(self) -> None:
        """Check which guests answer clients, the grants, the roles on the hosts and the pair's public state.

        :raises SplitBrainError: when more than one guest answers, or one that has lost state
        """
        self._check_grants()
        self._check_public_state()
        self._check_roles()
        answering = [host for host in self.hosts.values() if self._answers(host)]
        for host in answering:
            if host.memory != self._answered:
                raise SplitBrainError(
                    f"{host.name} answers from state {host.memory}, clients have seen {self._answered}"
                )
            peer = self._peer_in_sync(host)
            self._answered += 1
            host.memory = self._answered
            if peer is not None:
                peer.memory = self._answered
        if len(answering) > 1:
            raise SplitBrainError(f"{[host.name for host in answering]} answer at once")

    def answering(self) -> list[str]:
        """Return the hosts whose guests answer clients."""
        return [host.name for host in self.hosts.values() if self._answers(host)]

    def _answers(self, host: Host) -> bool:
        """Return whether a guest's replies reach clients: COLO holds those of a primary without its peer."""
        if host.guest() != hv.RUNNING:
            return False
        return not host.replicates() or self._peer_in_sync(host) is not None

    def _peer_in_sync(self, host: Host) -> Host | None:
        role = host.role()
        if role is None or role.peer is None or not host.replicates():
            return None
        peer = self.hosts[role.peer]
        linked = host.hypervisor.linked(SERVER, role.peer)
        return peer if linked and peer.guest() == hv.PAUSED and peer.memory == host.memory else None

    def _check_grants(self) -> None:
        row = self._grants_table.execute("SELECT epoch, primary_host FROM pairs").fetchone()
        if row is None:
            return
        epoch, holder = row
        assert epoch >= max(self._grants, default=0), f"the pair went back to epoch {epoch}"
        if self._grants.setdefault(epoch, holder) != holder:
            raise SplitBrainError(f"{holder} and {self._grants[epoch]} both hold the grant for epoch {epoch}")

    def _check_public_state(self) -> None:
        row = self._grants_table.execute("SELECT state, health, secondary_host FROM pairs").fetchone()
        if row is None:
            return
        state, health, secondary = row
        assert health in HEALTH_OF_STATE[state], (
            f"the pair is shown to be {state}, and its health to be {health}"
        )
        if state in (State.PROTECTED, State.FAILING_OVER, State.STARTING, State.ERROR):
            assert state != State.PROTECTED or secondary, (
                "the pair is shown to be protected, without a secondary"
            )
        else:
            assert not secondary, f"the pair is shown to be {state}, with a secondary on {secondary}"

    def _check_roles(self) -> None:
        primaries = {}
        for host in self.hosts.values():
            role = host.role()
            if role is None:
                host.epoch = 0
                continue
            assert role.epoch >= host.epoch, f"{host.name} went back from epoch {host.epoch} to {role}"
            host.epoch = role.epoch
            if (
                role.role in (Role.PRIMARY, Role.PROMOTED)
                and primaries.setdefault(role.epoch, host.name) != host.name
            ):
                raise SplitBrainError(
                    f"{host.name} and {primaries[role.epoch]} are both primary in epoch {role.epoch}"
                )

    # --- the end

    def end_failures(self, done: Callable[[], bool]) -> None:
        """End all failures, and let one engine work until ``done()`` is true in two rounds in a row."""
        self._loss = ""
        self.placement.full.clear()
        for name, host in self.hosts.items():
            self.power_on(name)
            host.agent_up = True
            host.backend.silent = ""
            self.cut_link(name, False)
        while self.late:
            self.deliver_late()
        self.engines.pop().kill()
        self.engines[0].deaf = False
        before = False
        for _ in range(40):
            self.clock.advance(18)
            for _ in range(3):  # an engine takes no lease that it has seen only once
                self.second()
            self.engines[0].refresh()
            self.engines[0].repair()
            for _ in range(4):
                self.engines[0].run_all(60)
                self.nova.work(True)
                self.observe()
            if (now := done()) and before:
                return
            before = now
