# SPDX-License-Identifier: Apache-2.0
"""The compute-driver mixin: a stock driver that leaves pairs alone and adopts promoted secondaries.

The QEMU of a secondary has the name and id of its server, so that nothing changes for the guest when it becomes the primary.
Until Nova's records have followed, nova-compute must not see it; and it must not act on a primary that the pair has stopped.
All that the driver knows of a pair is the role of its own host, from the agent's files: it never waits for the network.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import nova.conf
from nova import exception
from nova.compute import power_state, task_states
from nova.virt import event as virt_event
from nova.virt import hardware
from oslo_log import log as logging

from nova_colo.hoststate import agent_health
from nova_colo.hoststate.roles import RoleRecord, RoleStore
from nova_colo.pair.model import Role
from nova_colo.virt import detach_pair, options
from nova_colo.virt.reserve_on_build import StrictBuild

LOG = logging.getLogger(__name__)
CONF = nova.conf.CONF
options.register(CONF)

#: Advertised in Placement while the host's agent is healthy.
TRAIT = "CUSTOM_COLO"

#: What a checkpoint and the start of replication look like from outside. ComputeManager.handle_lifecycle_event would read the
#: server from the database and write its power state back at each of them.
_CHECKPOINT_EVENTS = frozenset(
    {
        virt_event.EVENT_LIFECYCLE_PAUSED,
        virt_event.EVENT_LIFECYCLE_RESUMED,
        virt_event.EVENT_LIFECYCLE_SUSPENDED,
        virt_event.EVENT_LIFECYCLE_POSTCOPY_STARTED,
        virt_event.EVENT_LIFECYCLE_MIGRATION_COMPLETED,
    }
)


#: Roles of a host that runs the server, and whose guest is Nova's own.
_PRIMARY = (Role.PRIMARY, Role.LEAVING)


def _rebuild_refused(reason: str) -> exception.InstanceFaultRollback:
    """Return what leaves a server as it was: ComputeManager._error_out_instance_on_exception makes an ERROR of all else."""
    return exception.InstanceFaultRollback(inner_exception=exception.InstancePowerOffFailure(reason=reason))


class ColoDriverMixin:
    """To be put before a ComputeDriver. Subclasses implement _adopt() and _stop_demoted()."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._state_path = CONF.colo.agent_state_path
        self._roles = RoleStore(self._state_path)
        self._strict = StrictBuild(CONF)
        self._ending: set[str] = set()

    def _role(self, uuid: str) -> Role | None:
        record = self._roles.get(uuid)
        return record.role if record else None

    def _hidden(self, uuid: str) -> bool:
        return self._role(uuid) in (Role.SECONDARY, Role.PROMOTED)

    def _reported_running(self, uuid: str) -> bool:
        """Return whether Nova is told that a guest runs, whatever its QEMU does: its twin runs, or will in a moment."""
        record = self._roles.get(uuid)
        if record is None or uuid in self._ending:
            return False
        return record.role == Role.DEMOTED or (record.role in _PRIMARY and record.peer is not None)

    @contextlib.contextmanager
    def _actual_state(self, uuid: str) -> Iterator[None]:
        """Let get_info say what is, while Nova ends a guest: LibvirtDriver._destroy waits for it to say SHUTDOWN."""
        self._ending.add(uuid)
        try:
            yield
        finally:
            self._ending.discard(uuid)

    def _runs_here(self, instance: Any) -> bool:
        """Return whether the guest's QEMU is there."""
        try:
            state = super().get_info(instance).state
        except exception.InstanceNotFound:
            return False
        return state in (power_state.RUNNING, power_state.PAUSED)

    def _adopt(self, context: Any, instance: Any, network_info: Any, block_device_info: Any) -> None:
        """Make the running guest of a promoted secondary one of Nova's own."""
        raise NotImplementedError()

    def _stop_demoted(self, instance: Any) -> None:
        """End the guest of a primary that was failed over from; no error when it is gone."""
        raise NotImplementedError()

    def _adopt_promoted(self, context: Any, instance: Any, network_info: Any, block_device_info: Any) -> None:
        record = self._roles.get(instance.uuid)
        self._adopt(context, instance, network_info, block_device_info)
        if record is not None:
            self._roles.put(RoleRecord(instance.uuid, Role.PRIMARY, record.epoch))
        LOG.info("Adopted the promoted secondary.", instance=instance)

    # --- what nova-compute sees

    def instance_exists(self, instance: Any) -> bool:
        """Hide secondaries: else an evacuation to this host ends with InstanceExists."""
        return not self._hidden(instance.uuid) and super().instance_exists(instance)

    def list_instance_uuids(self) -> list[str]:
        """Hide secondaries: else _destroy_evacuated_instances and the reaper of deleted instances destroy them."""
        return [uuid for uuid in super().list_instance_uuids() if not self._hidden(uuid)]

    def instance_on_disk(self, instance: Any) -> bool:
        """Say that a promoted secondary's disk is here, so that an evacuation keeps it."""
        return self._role(instance.uuid) == Role.PROMOTED or super().instance_on_disk(instance)

    def get_info(self, instance: Any, use_cache: bool = True) -> hardware.InstanceInfo:
        """Say that a pair's guest runs, also while it stands still for a checkpoint or runs on the other host already.

        Otherwise _sync_instance_power_state would call the stop API on a server that serves its clients, and with
        resume_guests_state_on_host_boot a host that was dead would start what runs elsewhere by now.
        """
        if self._reported_running(instance.uuid):
            return hardware.InstanceInfo(state=power_state.RUNNING)
        return super().get_info(instance, use_cache=use_cache)

    def emit_event(self, event: Any) -> None:
        """Drop what would make Nova act on a pair, or load its database at each checkpoint."""
        if not (isinstance(event, virt_event.LifecycleEvent) and self._suppresses(event)):
            super().emit_event(event)

    def _suppresses(self, event: virt_event.LifecycleEvent) -> bool:
        role = self._role(event.uuid)
        if role is None:
            return False
        if role not in _PRIMARY:
            return True
        if event.transition == virt_event.EVENT_LIFECYCLE_STOPPED:
            return self._reported_running(event.uuid)
        return event.transition in _CHECKPOINT_EVENTS

    def update_provider_tree(self, provider_tree: Any, nodename: str, *args: Any, **kwargs: Any) -> None:
        """Advertise that this host can carry replicas of pairs, as long as its agent says so."""
        super().update_provider_tree(provider_tree, nodename, *args, **kwargs)
        if agent_health.is_healthy(self._state_path, time.time()):
            provider_tree.add_traits(nodename, TRAIT)
        else:
            provider_tree.remove_traits(nodename, TRAIT)

    # --- what may start a guest

    def _start_refusal(self, instance: Any) -> str:
        """Return why a guest must not be started here, with the remedy; an empty string when it may be.

        Its twin may run: this host may have been dead, or cut off, when the twin took over.
        """
        record = self._roles.get(instance.uuid)
        if record is None or (record.role in _PRIMARY and record.peer is None):
            return ""
        if record.role in (Role.SECONDARY, Role.PROMOTED):
            return "this host has the secondary of the server, which runs by the pair's rules alone"
        where = f"on {record.peer}" if record.peer else "on another host"
        return (
            f"its twin may run {where}, and two would corrupt its disk. Wait until its fault tolerance state "
            "is protected or degraded, or remove its protection (ft-unprotect)"
        )

    def _check_may_start(self, instance: Any) -> None:
        """Refuse to start a guest that must not be started here.

        :raises nova.exception.InstancePowerOnFailure: with the remedy
        """
        if reason := self._start_refusal(instance):
            LOG.warning("Not starting the guest: %s.", reason, instance=instance)
            raise exception.InstancePowerOnFailure(reason=reason)

    def spawn(self, context: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Boot a new server; with [colo] strict an FT server only when there is room for its secondary."""
        if CONF.colo.strict:
            self._strict.reserve(instance)
        super().spawn(context, instance, *args, **kwargs)

    def power_on(self, context: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Power on, unless the twin may run."""
        self._check_may_start(instance)
        super().power_on(context, instance, *args, **kwargs)

    def resume(self, context: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Resume, unless the twin may run."""
        self._check_may_start(instance)
        super().resume(context, instance, *args, **kwargs)

    def unpause(self, instance: Any) -> None:
        """Unpause, unless it stands still for its pair."""
        self._check_may_start(instance)
        super().unpause(instance)

    # --- what ends a primary's part in its pair: the engine gives the twin up, and protects the server again when Nova is done

    @contextlib.contextmanager
    def _leaving(self, instance: Any, refusal: Callable[..., exception.NovaException]) -> Iterator[None]:
        """Leave the pair of a guest that Nova is about to end. A role without a guest is kept: the twin may have taken over.

        :param refusal: makes of a reason what is raised when the pair cannot be left
        """
        leaves = self._role(instance.uuid) in _PRIMARY and self._runs_here(instance)
        if leaves and (reason := detach_pair.leave(self._roles, instance.uuid, CONF.colo.leave_timeout)):
            LOG.warning("Not ending the guest: %s.", reason, instance=instance)
            raise refusal(reason=reason)
        try:
            yield
        finally:
            if leaves:
                detach_pair.end(self._roles, instance.uuid)

    def init_host(self, host: str) -> None:
        """Settle what was being left when nova-compute ended."""
        detach_pair.resume(self._roles)
        super().init_host(host)

    def reboot(self, context: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Leave the pair, then reboot."""
        with self._leaving(instance, exception.InstanceRebootFailure):
            self._check_may_start(instance)
            super().reboot(context, instance, *args, **kwargs)

    def power_off(self, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Leave the pair, then power off."""
        if self._hidden(instance.uuid):
            raise exception.InstancePowerOffFailure(
                reason="this host has the secondary of the server, not the server"
            )
        rebuilt = instance.task_state == task_states.REBUILDING
        refusal = _rebuild_refused if rebuilt else exception.InstancePowerOffFailure
        if self._role(instance.uuid) == Role.DEMOTED:
            # asked for before a failover: Nova would have the server stopped for good, whose guest runs on another host
            raise refusal(reason="it has just failed over. Try again when Nova names its new host")
        with self._leaving(instance, refusal), self._actual_state(instance.uuid):
            super().power_off(instance, *args, **kwargs)

    def destroy(self, context: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Destroy a server's guest, never a secondary's. It waits for nothing; a rebuild has powered it off before."""
        if self._hidden(instance.uuid):
            LOG.warning("Not destroying the guest: it is the secondary of an FT server.", instance=instance)
            return
        self._roles.forget(instance.uuid)
        # the engine may be failing it over: its agent writes a role down again, and destroy would wait for ever
        with self._actual_state(instance.uuid):
            super().destroy(context, instance, *args, **kwargs)

    # --- records follow an unplanned failover: evacuate

    def rebuild(self, context: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Adopt instead of building anew, when this is an evacuation to the host of the promoted secondary."""
        if not (kwargs.get("evacuate") and self._role(instance.uuid) == Role.PROMOTED):
            # ComputeManager takes this as "do it the default way"
            raise NotImplementedError()
        # the caller saves with expected_task_state=[REBUILD_SPAWNING], as for ironic
        instance.task_state = task_states.REBUILD_SPAWNING
        instance.save(expected_task_state=[task_states.REBUILDING])
        self._adopt_promoted(context, instance, kwargs.get("network_info"), kwargs.get("block_device_info"))

    # --- records follow a planned failover: live migration that moves nothing

    def check_can_live_migrate_destination(
        self, context: Any, instance: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Refuse to move a server onto its own secondary."""
        if self._role(instance.uuid) == Role.SECONDARY:
            raise exception.MigrationPreCheckError(
                reason="its secondary is there: use the failover action instead"
            )
        return super().check_can_live_migrate_destination(context, instance, *args, **kwargs)

    def check_can_live_migrate_source(self, context: Any, instance: Any, *args: Any, **kwargs: Any) -> Any:
        """Refuse to move one half of a pair."""
        if self._role(instance.uuid) in _PRIMARY:
            reason = "it is fault tolerant: use the failover action instead, or remove its protection first"
            raise exception.MigrationPreCheckError(reason=reason)
        return super().check_can_live_migrate_source(context, instance, *args, **kwargs)

    def live_migration(
        self,
        context: Any,
        instance: Any,
        dest: str,
        post_method: Any,
        recover_method: Any,
        block_migration: bool = False,
        migrate_data: Any = None,
    ) -> None:
        """End the old primary; its twin runs on dest already."""
        if self._role(instance.uuid) != Role.DEMOTED:
            super().live_migration(
                context, instance, dest, post_method, recover_method, block_migration, migrate_data
            )
            return
        self._stop_demoted(instance)
        post_method(context, instance, dest, block_migration, migrate_data)

    def post_live_migration_at_source(self, context: Any, instance: Any, network_info: Any) -> None:
        """Forget the role of the old primary's host."""
        self._roles.forget(instance.uuid)
        super().post_live_migration_at_source(context, instance, network_info)

    def post_live_migration_at_destination(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_migration: bool = False,
        block_device_info: Any = None,
    ) -> None:
        """Adopt the promoted secondary."""
        if self._role(instance.uuid) == Role.PROMOTED:
            self._adopt_promoted(context, instance, network_info, block_device_info)
        super().post_live_migration_at_destination(
            context, instance, network_info, block_migration, block_device_info
        )

    def rollback_live_migration_at_destination(
        self, context: Any, instance: Any, *args: Any, **kwargs: Any
    ) -> None:
        """Keep a promoted secondary: it serves the clients, whatever has become of the records."""
        if not self._hidden(instance.uuid):
            super().rollback_live_migration_at_destination(context, instance, *args, **kwargs)
