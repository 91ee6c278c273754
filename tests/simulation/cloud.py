# SPDX-License-Identifier: Apache-2.0
"""Small models of what an engine works with: hosts with agents, Nova, Placement, Neutron. See world.py."""

import dataclasses
import datetime
import pathlib
from typing import TYPE_CHECKING, Any

from oslo_config import cfg
from oslo_utils import timeutils

from nova_colo import conf as colo_conf
from nova_colo.agent.manager import AgentManager
from nova_colo.agent.replication import PairSpec, ReplicationError, Report
from nova_colo.engine.clients.nova import Server
from nova_colo.engine.errors import ServiceError
from nova_colo.hoststate.roles import RoleRecord, RoleStore
from nova_colo.pair import reasons
from nova_colo.pair.host_selection import Size
from nova_colo.pair.model import Policy, Role
from nova_colo.simulator import backend
from nova_colo.simulator import hypervisor as hv
from nova_colo.virt import detach_pair
from tests.simulation.threads import Thread

if TYPE_CHECKING:
    from tests.simulation.world import World

SERVER = "1f0f0c3e-0000-4000-8000-000000000001"
HOSTS = ("a", "b", "c")
#: State of a secondary's guest before the primary's memory has been copied.
NOT_COPIED = -1
#: State of a secondary that has missed a write.
OUTDATED = -2


class AgentDied(Exception):  # noqa: N818
    """An agent was killed in the middle of a request."""


class CrashingRoleStore(RoleStore):
    """Roles of an agent that may be killed just before or after it changes one.

    They are in memory, since reading files would take a fifth of all the time.
    """

    crash = ""

    def __init__(self) -> None:
        self._records: dict[str, RoleRecord] = {}

    def get(self, server_id: str) -> RoleRecord | None:
        return self._records.get(server_id)

    def all(self) -> list[RoleRecord]:
        return [self._records[server_id] for server_id in sorted(self._records)]

    def put(self, record: RoleRecord) -> None:
        self._die("before")
        self._records[record.server_id] = record
        self._die("after")

    def delete(self, server_id: str) -> None:
        self._die("before")
        self._records.pop(server_id, None)
        self._die("after")

    def _die(self, when: str) -> None:
        if self.crash == when:
            raise AgentDied


class BackendWithDisk(backend.SimulatedBackend):
    """Replicas whose disk may fail, and is complete only some seconds after a failover; QEMU may be silent.

    :ivar disk_failed: the secondary here has missed a write
    :ivar shut_down: the guest here has powered itself off
    :ivar silent: what does not answer here: ``QEMU``, ``libvirt``, or nothing
    :ivar commit_s: seconds between the promotion of the secondary here and the end of its overlays' commit
    """

    disk_failed = False
    shut_down = False
    silent = ""
    commit_s = 0.0
    _complete_at = 0.0

    @property
    def committing(self) -> bool:
        """Whether the disk lacks writes that the guest has done."""
        return self._clock() < self._complete_at

    def report(self, server_id: str, peer: str | None) -> Report:
        report = super().report(server_id, peer)
        return dataclasses.replace(
            report,
            disks_equal=not self.disk_failed,
            committing=self.committing,
            shut_down=self.shut_down and not report.running,
            silent=bool(self.silent) and report.running,
            running=report.running and self.silent != "QEMU",
        )

    def _check_answers(self) -> None:
        if self.silent:
            raise ReplicationError(reasons.LIBVIRT_FAILED(text="no connection"))

    def pause(self, server_id: str) -> bool:
        return not self.silent and super().pause(server_id)

    def run_unprotected(self, server_id: str) -> None:
        self._check_answers()
        super().run_unprotected(server_id)

    def check_promotable(self, server_id: str) -> None:
        self._check_answers()
        super().check_promotable(server_id)

    def promote(self, server_id: str, stopped: bool) -> float | None:
        gap_ms = super().promote(server_id, stopped)
        self._complete_at = self._clock() + self.commit_s
        return gap_ms

    def prepare_secondary(self, spec: PairSpec, primary: dict[str, Any]) -> dict[str, Any]:
        self._check_answers()
        self.disk_failed = False
        return super().prepare_secondary(spec, primary)

    def start(self, spec: PairSpec, secondary: dict[str, Any]) -> None:
        self._check_answers()
        super().start(spec, secondary)

    def destroy(self, server_id: str) -> None:
        if self.silent == "libvirt":
            self._check_answers()
        self.disk_failed = False
        super().destroy(server_id)


class Clock:
    """The clock of all components."""

    start = datetime.datetime(2026, 1, 1)

    def __init__(self) -> None:
        self.now = 1000.0
        self.advance(0)

    def advance(self, seconds: float) -> None:
        self.now += seconds
        timeutils.set_time_override(self.start + datetime.timedelta(seconds=self.now))

    def __call__(self) -> float:
        return self.now


class Host:
    """A compute host: power, agent, and how much of what clients have seen its guest has in memory."""

    def __init__(self, name: str, folder: pathlib.Path, clock: Clock):
        conf = colo_conf.load([], [], conf=cfg.ConfigOpts())
        conf.set_override("host", name)
        conf.set_override("directory", str(folder / "memory"), group="simulated")
        conf.set_override("mirror_time", 0.0, group="simulated")
        conf.set_override("mismatches_per_minute", 0.0, group="simulated")
        self.name = name
        self.folder = folder / "memory" / name
        self.roles = CrashingRoleStore()
        self.backend = BackendWithDisk(conf, clock, seed=1)
        self.manager = AgentManager(name, self.backend, self.roles)
        self.hypervisor = hv.Hypervisor(str(folder / "memory"), name)
        self.powered = self.agent_up = self.link_up = True
        self.down_since: float | None = None
        self.forced_down = False
        self.disabled_reason: str | None = None
        self.memory = self.disk = 0
        self.epoch = 0

    @property
    def answers_engine(self) -> bool:
        """Whether the engine can reach its agent."""
        return self.powered and self.agent_up

    def guest(self) -> str | None:
        """Return the state of the server's guest here."""
        domain = self.hypervisor.get(SERVER)
        return domain.state if domain else None

    def role(self) -> RoleRecord | None:
        return self.roles.get(SERVER)

    def boot(self, memory: int) -> None:
        """Start a guest that belongs to no pair."""
        self.hypervisor.remove(SERVER)
        self.hypervisor.put(hv.Domain(SERVER, "guest", hv.RUNNING))
        self.memory = memory
        self.backend.shut_down = False

    def fail_disk(self) -> None:
        """Make the secondary here, if there is one, miss a write of its primary."""
        if self.guest() == hv.PAUSED and (role := self.role()) and role.role == Role.SECONDARY:
            self.backend.disk_failed, self.memory = True, OUTDATED

    def replicates(self) -> bool:
        """Whether replies of the local guest are held until a peer confirms them."""
        return self.hypervisor.replication(SERVER).exists()

    def power_off_guest(self) -> None:
        """Power the guest off from within, also that of a secondary."""
        if self.guest() is not None:
            self.end_guest()
            self.backend.shut_down = True

    def end_guest(self) -> None:
        if self.guest() is not None:
            self.disk = self.memory
        self.hypervisor.remove(SERVER)


class Placement:
    """Reservations of secondaries; each provider has capacity for one."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, dict[str, int]]] = {}
        self.full: set[str] = set()
        #: whether the allocation of a failed live migration still holds the server's capacity on its
        #: host
        self.migration_holds = False

    def candidates(self, resources: dict[str, int], required: list[str]) -> list[str]:
        return [name for name in HOSTS if name not in self.full]

    def reserve(self, consumer: str, amounts: dict[str, dict[str, int]]) -> bool:
        if self.full & (set(amounts) - set(self.held.get(consumer, {}))):
            return False
        self.held[consumer] = amounts
        return True

    def allocations_on(self, provider: str) -> dict[str, dict[str, int]]:
        return {consumer: amounts[provider] for consumer, amounts in self.held.items() if provider in amounts}

    def is_secondary(self, consumer: str) -> bool:
        return True

    def remove_allocations(self, server_id: str, providers: list[str]) -> None:
        pass

    def has_allocation(self, consumer: str, provider: str) -> bool:
        return not self.migration_holds

    def return_allocation(self, server_id: str, provider: str, migrations: list[str]) -> None:
        self.migration_holds = False

    def release(self, consumer: str) -> None:
        self.held.pop(consumer, None)


class Neutron:
    """The bindings of the server's port: their status, by host. Nova binds it to the target of a move."""

    def __init__(self) -> None:
        self.statuses = {"a": "ACTIVE"}

    def bindings(self, server_id: str) -> dict[str, dict[str, str]]:
        return {"port": dict(self.statuses)}

    def activate_binding(self, port_id: str, host: str) -> None:
        assert self.statuses[host] == "INACTIVE", f"409: {self.statuses}"
        self.statuses = dict.fromkeys(self.statuses, "INACTIVE") | {host: "ACTIVE"}

    def delete_binding(self, port_id: str, host: str) -> None:
        status = self.statuses.pop(host, None)
        assert status != "ACTIVE", f"{host} had the port's ACTIVE binding"

    def bind(self, host: str) -> bool:
        """Bind the port to the target of a live migration; Neutron refuses to do so twice."""
        if host in self.statuses:
            return False
        self.statuses[host] = "INACTIVE"
        return True

    def activate(self, source: str, target: str) -> None:
        """Begin the end of a live migration."""
        self.statuses |= {source: "INACTIVE", target: "ACTIVE"}

    def evacuate(self, host: str) -> bool:
        """Change the host of the ACTIVE binding; Neutron fails when the port has an INACTIVE one there."""
        if self.statuses.get(host) == "INACTIVE":
            return False
        if host not in self.statuses:
            self.statuses = {name: status for name, status in self.statuses.items() if status != "ACTIVE"}
            self.statuses[host] = "ACTIVE"
        return True


class Nova:
    """Nova's record of the server, and nova-compute's handling of its guest (nova_colo.virt.mixin)."""

    def __init__(self, world: "World"):
        self._world = world
        self.host = "a"
        self.status = "ACTIVE"
        self.task: tuple[str, str, str] | None = None
        self.failed: set[str] = set()
        self._requests = 0
        self._compute: Thread | None = None

        # --- requests of engines

    def servers(self, since: str | None = None) -> list[Server]:
        return [self.server(SERVER)]

    def server(self, server_id: str) -> Server:
        who = {"id": SERVER, "name": "web", "project_id": "p", "user_id": "u", "flavor": "ft"}
        task = self.task[0] if self.task else None
        state = {"status": self.status, "host": self.host, "task_state": task, "fault_tolerant": True}
        return Server(**who, **state, size=Size(1, 64, 1), policy=Policy(), extra_specs={})

    def live_migrate(self, server_id: str, host: str, operation_id: str) -> str:
        self._check_disk(host)
        return self._accept("migrating", host)

    def evacuate(self, server_id: str, host: str, operation_id: str) -> str:
        if self._state(self.host) == "up":
            raise ServiceError("Nova", 400, "Compute service is still in use.")
        self._check_disk(host)
        assert self.status != "SHUTOFF", "Nova would stop the guest after the move"
        return self._accept("rebuilding", host, "ERROR")

    def _check_disk(self, host: str) -> None:
        assert not self._world.hosts[host].backend.committing, "Nova would start the guest from that disk"

    def reboot(self, server_id: str, operation_id: str) -> str:
        return self._accept("rebooting", self.host, "SHUTOFF", "ERROR")

    def stop(self, server_id: str, operation_id: str) -> None:
        self._accept("powering-off", self.host)

    def set_active(self, server_id: str, operation_id: str) -> None:
        self.status = "ACTIVE"

    def _accept(self, task: str, host: str, *statuses: str) -> str:
        if self.task is not None or self.status not in ("ACTIVE", *statuses):
            raise ServiceError("Nova", 409, "The server is busy.")
        self._requests += 1
        self.task = (task, host, f"req-{self._requests}")
        return self.task[2]

    def migrations(self, server_id: str) -> list[str]:
        return []

    def action_failed(self, server_id: str, request_id: str) -> bool:
        return request_id in self.failed

    def compute_services(self) -> dict[str, dict[str, Any]]:
        return {
            name: {
                "host": name,
                "zone": "nova",
                "state": self._state(name),
                "forced_down": host.forced_down,
                "status": "disabled" if host.disabled_reason else "enabled",
                "disabled_reason": host.disabled_reason,
            }
            for name, host in self._world.hosts.items()
        }

    def _state(self, name: str) -> str:
        host = self._world.hosts[name]
        silent = host.down_since is not None and self._world.clock() - host.down_since > 60
        return "down" if host.forced_down or silent else "up"

    def providers(self) -> dict[str, str]:
        return {name: name for name in HOSTS}

    def force_down(self, host: str, down: bool) -> None:
        self._world.hosts[host].forced_down = down

    def disable(self, host: str, reason: str) -> None:
        self._world.hosts[host].disabled_reason = reason

    def enable(self, host: str, reason: str) -> None:
        self._world.hosts[host].disabled_reason = None

        # --- nova-compute

    def work(self, well: bool, late: bool = False) -> None:
        """Complete the accepted request, or fail.

        :param well: whether the request succeeds
        :param late: fail at the last step of a move, as when nova-compute is restarted during it
        """
        if self.task is None:
            self.sync_power_state()
            return
        task, target, request_id = self.task
        source, there = self._world.hosts[self.host], self._world.hosts[target]
        able = there.powered and (task == "rebuilding" or source.powered)
        if well and able and task in ("rebooting", "powering-off") and not self._leave(source):
            return
        if not (well and able):
            self.restart_compute(source)
        self.task = None
        handlers = {
            "migrating": self._move,
            "rebuilding": self._rebuild,
            "rebooting": self._reboot,
            "powering-off": self._power_off,
        }
        bound = self._bind(task, there, activate=late or well)
        if not (well and able and bound and handlers[task](source, there)):
            self.failed.add(request_id)
            if task in ("migrating", "rebuilding"):
                self.status = "ERROR"
            self._world.placement.migration_holds |= task == "migrating"
        elif late and task in ("migrating", "rebuilding"):
            self.failed.add(request_id)
            self.status = "ERROR"
        if task in ("rebooting", "powering-off"):
            detach_pair.end(source.roles, SERVER)

    def _bind(self, task: str, target: Host, activate: bool) -> bool:
        """Return whether Placement and Neutron let a move begin, with the port bound to its target.

        :param activate: whether a live migration gets as far as to its end
        """
        neutron = self._world.neutron
        if task not in ("migrating", "rebuilding"):
            return True
        if self._world.placement.migration_holds:
            return False
        if task == "rebuilding":
            return neutron.evacuate(target.name)
        if not neutron.bind(target.name):
            return False
        if activate:
            neutron.activate(self.host, target.name)
        return True

    def _leave(self, host: Host) -> bool:
        """Leave the pair like the compute driver does, and return whether that is complete."""
        role = host.role()
        if self._compute is None:
            if role is None or role.role not in (Role.PRIMARY, Role.LEAVING) or host.guest() is None:
                return True
            self._compute = self._world.thread(lambda: detach_pair.leave(host.roles, SERVER, 60.0))
        self._compute.switch()
        if not self._compute.dead:
            return False
        self._compute = None
        return True

    def restart_compute(self, host: Host) -> None:
        """Kill nova-compute, and finish at its restart the detaching that it has left incomplete."""
        if self._compute is not None and host.name == self.host:
            self._compute.killed = True
            self._compute.switch()
            self._compute = None
        detach_pair.resume(host.roles)

    def _move(self, source: Host, target: Host) -> bool:
        role, there = source.role(), target.role()
        if (there and there.role == Role.SECONDARY) or (role and role.role in (Role.PRIMARY, Role.LEAVING)):
            return False
        assert role is not None and role.role == Role.DEMOTED, f"Nova moves the guest itself: {role}"
        source.end_guest()
        source.roles.delete(SERVER)
        self._world.neutron.delete_binding("port", source.name)
        return self._adopt(target)

    def _rebuild(self, source: Host, target: Host) -> bool:
        role = target.role()
        if target.guest() is not None and (role is None or role.role not in (Role.SECONDARY, Role.PROMOTED)):
            return False  # InstanceExists
        assert role is not None and role.role == Role.PROMOTED, f"Nova builds another guest: {role}"
        return self._adopt(target)

    def _adopt(self, target: Host) -> bool:
        role = target.role()
        assert role is not None and role.role in (Role.PROMOTED, Role.PRIMARY), (
            f"Nova has moved the server to nothing: {role}"
        )
        target.roles.put(RoleRecord(SERVER, Role.PRIMARY, role.epoch))
        self.host, self.status = target.name, "ACTIVE"
        return True

    def _reboot(self, source: Host, target: Host) -> bool:
        return self._start(source)

    def _power_off(self, source: Host, target: Host) -> bool:
        role = source.role()
        elsewhere = (Role.SECONDARY, Role.PROMOTED, Role.DEMOTED)
        if role is not None and (role.role in elsewhere or (source.guest() and role.peer is not None)):
            return False
        source.end_guest()
        self.status = "SHUTOFF"
        return True

    def _start(self, host: Host) -> bool:
        role = host.role()
        if role is not None and not (role.role in (Role.PRIMARY, Role.LEAVING) and role.peer is None):
            return False
        host.end_guest()
        host.boot(host.disk)
        self.status = "ACTIVE"
        return True

    def sync_power_state(self) -> None:
        """Stop a server without guest, like _sync_instance_power_state, unless the host has a role for it."""
        host = self._world.hosts[self.host]
        if (
            self.task is None
            and self.status == "ACTIVE"
            and host.powered
            and host.role() is None
            and host.guest() is None
        ):
            self.status = "SHUTOFF"

        # --- requests of users

    def ask_for_stop(self) -> None:
        if self.task is None and self.status == "ACTIVE":
            self._accept("powering-off", self.host)

    def start(self) -> None:
        host = self._world.hosts[self.host]
        if self.task is None and host.powered and self.status == "SHUTOFF":
            self._start(host)

    def ask_for_reboot(self) -> None:
        if self.task is None and self.status == "ACTIVE":
            self._accept("rebooting", self.host)

    def host_returns(self, host: Host) -> None:
        """Do what nova-compute does when its host is powered on again."""
        self.restart_compute(host)
        detach_pair.resume(host.roles)
        if (
            self.host == host.name
            and self.status == "ACTIVE"
            and host.role() is None
            and host.guest() is None
        ):
            host.boot(host.disk)
