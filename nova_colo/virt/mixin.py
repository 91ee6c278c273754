# SPDX-License-Identifier: Apache-2.0
"""A mixin that makes a stock compute driver respect pairs and adopt promoted secondaries.

The QEMU of a secondary has the name and id of its server, so nothing changes for the guest when it is
promoted. Until Nova's records are updated, nova-compute must not see it, and must not act on a primary that
the pair has paused. The driver only knows its own host's role in a pair, from the agent's files: it never
waits for the network.
"""

import collections
import contextlib
import time
from collections.abc import Iterator
from typing import Any

import nova.conf
from nova import exception
from nova.compute import power_state, task_states
from nova.virt import event as virt_event
from nova.virt import hardware
from oslo_log import log as logging

from nova_colo.hoststate import agent_health
from nova_colo.hoststate.commits import CommitStore
from nova_colo.hoststate.roles import RoleRecord, RoleStore
from nova_colo.pair.model import Role
from nova_colo.virt import detach_pair, options
from nova_colo.virt.leaving import PRIMARY, LeavesPairMixin
from nova_colo.virt.reserve_on_build import StrictBuild

LOG = logging.getLogger(__name__)
CONF = nova.conf.CONF
options.register(CONF)

#: Trait of the host in Placement while its agent is healthy.
TRAIT = "CUSTOM_COLO"
#: Seconds that the agent may take to complete the disk of a guest that ended shortly after a failover.
COMMIT_S = 60.0

#: Events of checkpoints and of the start of replication. ComputeManager.handle_lifecycle_event would read the
#: server from the database and write its power state at each of them.
_CHECKPOINT_EVENTS = frozenset(
    {
        virt_event.EVENT_LIFECYCLE_PAUSED,
        virt_event.EVENT_LIFECYCLE_RESUMED,
        virt_event.EVENT_LIFECYCLE_SUSPENDED,
        virt_event.EVENT_LIFECYCLE_POSTCOPY_STARTED,
        virt_event.EVENT_LIFECYCLE_MIGRATION_COMPLETED,
    }
)


class ColoDriverMixin(LeavesPairMixin):
    """A mixin to be inherited before a ComputeDriver. Subclasses implement _adopt() and _stop_demoted()."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._state_path = CONF.colo.agent_state_path
        self._roles = RoleStore(self._state_path)
        self._commits = CommitStore(self._state_path)
        self._strict = StrictBuild(CONF)
        self._ending: set[str] = set()
        self._leaving_requests = collections.Counter()

    def _is_reported_running(self, uuid: str) -> bool:
        """Return whether a guest is reported as running regardless of its QEMU's state.

        Its server runs: on the other host, or here, paused for a checkpoint at most.
        """
        record = self._roles.get(uuid)
        if record is None or uuid in self._ending:
            return False
        return record.role == Role.DEMOTED or (record.role in PRIMARY and record.peer is not None)

    @contextlib.contextmanager
    def _actual_state(self, uuid: str) -> Iterator[None]:
        """Make get_info return the actual state while Nova stops a guest.

        LibvirtDriver._destroy waits for SHUTDOWN.
        """
        self._ending.add(uuid)
        try:
            yield
        finally:
            self._ending.discard(uuid)

    def _adopt(self, context: Any, instance: Any, network_info: Any, block_device_info: Any) -> None:
        """Adopt the running guest of a promoted secondary as one of Nova's."""
        raise NotImplementedError()

    def _stop_demoted(self, instance: Any) -> None:
        """Stop the guest of a demoted primary; no error when it has ended."""
        raise NotImplementedError()

    def _adopt_promoted(self, context: Any, instance: Any, network_info: Any, block_device_info: Any) -> None:
        record = self._roles.get(instance.uuid)
        self._adopt(context, instance, network_info, block_device_info)
        if record is not None:
            self._roles.put(RoleRecord(instance.uuid, Role.PRIMARY, record.epoch))
        LOG.info("Adopted the promoted secondary.", instance=instance)

    # --- what nova-compute sees

    def instance_exists(self, instance: Any) -> bool:
        """Hide secondaries: otherwise an evacuation to this host fails with InstanceExists."""
        return not self._is_hidden(instance.uuid) and super().instance_exists(instance)

    def list_instance_uuids(self) -> list[str]:
        """Hide secondaries.

        Otherwise _destroy_evacuated_instances and the reaper of deleted instances would destroy them.
        """
        return [uuid for uuid in super().list_instance_uuids() if not self._is_hidden(uuid)]

    def instance_on_disk(self, instance: Any) -> bool:
        """Return True for a promoted secondary, so that an evacuation keeps its disk."""
        return self._role(instance.uuid) == Role.PROMOTED or super().instance_on_disk(instance)

    def get_info(self, instance: Any, use_cache: bool = True) -> hardware.InstanceInfo:
        """Return RUNNING for a pair's guest, even if it is paused for a checkpoint or runs on the other host.

        Otherwise _sync_instance_power_state would call the stop API on a server that serves its clients, and
        with resume_guests_state_on_host_boot a host that was down would start a guest that runs on another
        host by now.
        """
        if self._is_reported_running(instance.uuid):
            return hardware.InstanceInfo(state=power_state.RUNNING)
        return super().get_info(instance, use_cache=use_cache)

    def emit_event(self, event: Any) -> None:
        """Drop events that would make Nova act on a pair, or access its database at each checkpoint."""
        if not (isinstance(event, virt_event.LifecycleEvent) and self._is_suppressed(event)):
            super().emit_event(event)

    def _is_suppressed(self, event: virt_event.LifecycleEvent) -> bool:
        role = self._role(event.uuid)
        if role is None:
            return False
        if role not in PRIMARY:
            return True
        if event.transition == virt_event.EVENT_LIFECYCLE_STOPPED:
            return self._is_reported_running(event.uuid)
        return event.transition in _CHECKPOINT_EVENTS

    def update_provider_tree(self, provider_tree: Any, nodename: str, *args: Any, **kwargs: Any) -> None:
        """Advertise that this host can run replicas of pairs, while its agent is healthy."""
        super().update_provider_tree(provider_tree, nodename, *args, **kwargs)
        if agent_health.is_healthy(self._state_path, time.time()):
            provider_tree.add_traits(nodename, TRAIT)
        else:
            provider_tree.remove_traits(nodename, TRAIT)

    # --- requests that start a guest

    def _start_refusal(self, instance: Any) -> str:
        """Return why a guest must not be started here, with the remedy; an empty string when it may be.

        Its secondary may run: it may have been promoted while this host was down or disconnected.
        """
        record = self._roles.get(instance.uuid)
        if record is None or (record.role in PRIMARY and record.peer is None):
            return ""
        if record.role in (Role.SECONDARY, Role.PROMOTED):
            return "this host has the secondary of the server, which only the pair's agents may start"
        # the text is shown to the server's owner, who may not see hosts
        LOG.warning("Its peer is on %s and may run.", record.peer or "another host", instance=instance)
        return (
            "its peer may run on another host, and both would corrupt its disk. Wait until its fault "
            "tolerance state is protected or degraded, or unprotect the server"
        )

    def _disk_refusal(self, instance: Any) -> str:
        """Wait until a promoted secondary's disk is complete; return why it is not, with the remedy."""
        if self._commits.wait(instance.uuid, COMMIT_S):
            return ""
        return (
            "its disk is incomplete after a failover: nova-colo-agent has not committed the overlays yet. "
            "Check that it runs on this host and that the disk is not full, then try again"
        )

    def _check_may_start(self, instance: Any) -> None:
        """Refuse to start a guest that must not be started here.

        :raises nova.exception.InstancePowerOnFailure: with the remedy
        """
        if reason := self._start_refusal(instance) or self._disk_refusal(instance):
            LOG.warning("Not starting the guest: %s.", reason, instance=instance)
            raise exception.InstancePowerOnFailure(reason=reason)

    def spawn(self, context: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Boot a new server. With [colo] strict, reserve capacity for an FT server's secondary before."""
        if CONF.colo.strict:
            self._strict.reserve(instance)
        super().spawn(context, instance, *args, **kwargs)

    def power_on(self, context: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Power on, unless the peer may run."""
        self._check_may_start(instance)
        super().power_on(context, instance, *args, **kwargs)

    def resume(self, context: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Resume, unless the peer may run."""
        self._check_may_start(instance)
        super().resume(context, instance, *args, **kwargs)

    def unpause(self, instance: Any) -> None:
        """Unpause, unless the pair has paused it."""
        self._check_may_start(instance)
        super().unpause(instance)

    def init_host(self, host: str) -> None:
        """Roll back or complete what an earlier nova-compute process has left unfinished."""
        detach_pair.resume(self._roles)
        super().init_host(host)

    def destroy(self, context: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Destroy a server's guest, but never a secondary.

        Do not wait for the pair: a rebuild has powered it off before.
        """
        if self._is_hidden(instance.uuid):
            LOG.warning("Not destroying the guest: it is the secondary of an FT server.", instance=instance)
            return
        self._roles.delete(instance.uuid)
        # during a failover the agent may write a role again, and destroy would wait forever for SHUTDOWN
        with self._actual_state(instance.uuid):
            super().destroy(context, instance, *args, **kwargs)

    # --- Nova's records after an unplanned failover: evacuate

    def rebuild(self, context: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Adopt the guest instead of rebuilding it, in an evacuation to the promoted secondary's host."""
        if not (kwargs.get("evacuate") and self._role(instance.uuid) == Role.PROMOTED):
            # ComputeManager falls back to its default rebuild
            raise NotImplementedError()
        # the caller saves with expected_task_state=[REBUILD_SPAWNING], as for ironic
        instance.task_state = task_states.REBUILD_SPAWNING
        instance.save(expected_task_state=[task_states.REBUILDING])
        self._adopt_promoted(context, instance, kwargs.get("network_info"), kwargs.get("block_device_info"))

    # --- Nova's records after a planned failover: a live migration that moves nothing

    def check_can_live_migrate_destination(
        self, context: Any, instance: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Refuse to migrate a server to the host of its secondary."""
        if self._role(instance.uuid) == Role.SECONDARY:
            raise exception.MigrationPreCheckError(
                reason="its secondary is there: fail the server over instead"
            )
        return super().check_can_live_migrate_destination(context, instance, *args, **kwargs)

    def check_can_live_migrate_source(self, context: Any, instance: Any, *args: Any, **kwargs: Any) -> Any:
        """Refuse to migrate a primary."""
        if self._role(instance.uuid) in PRIMARY:
            reason = "it is fault tolerant: fail it over instead, or unprotect it first"
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
        """Stop the demoted primary; its peer runs on dest already."""
        if self._role(instance.uuid) != Role.DEMOTED:
            super().live_migration(
                context, instance, dest, post_method, recover_method, block_migration, migrate_data
            )
            return
        self._stop_demoted(instance)
        post_method(context, instance, dest, block_migration, migrate_data)

    def post_live_migration_at_source(self, context: Any, instance: Any, network_info: Any) -> None:
        """Delete the role of the old primary's host."""
        self._roles.delete(instance.uuid)
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
        """Keep a promoted secondary, which serves the clients, even if Nova's records were not updated."""
        if not self._is_hidden(instance.uuid):
            super().rollback_live_migration_at_destination(context, instance, *args, **kwargs)
