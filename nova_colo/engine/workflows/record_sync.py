# SPDX-License-Identifier: Apache-2.0
"""Update Nova's records after a failover: a move in which nova-compute adopts the guest and moves nothing."""

from typing import Any

from oslo_log import log as logging
from oslo_utils import timeutils

from nova_colo.agent.rpcapi import has_ended
from nova_colo.db import hosts, retry_on_loss
from nova_colo.engine.clients import neutron
from nova_colo.engine.clients.nova import Server
from nova_colo.engine.context import Context
from nova_colo.engine.errors import AgentRefusalError, ServiceError, WorkflowError
from nova_colo.engine.isolation import isolated
from nova_colo.engine.workflows import agent_calls, grants
from nova_colo.engine.workflows.base import Job, Outcome, Workflow, holds_within, wait_for
from nova_colo.pair import reasons
from nova_colo.pair.model import Role, State, secondary_id
from nova_colo.pair.operation import FailoverParams
from nova_colo.pair.reasons import Reason

LOG = logging.getLogger(__name__)

#: Seconds for which Nova may see a healthy nova-compute as down: a broker that is restarted loses its report,
#: and it waits for the reply for a minute (rpc_response_timeout).
NOVA_COMPUTE_S = 90.0


class RecordSync(Workflow[FailoverParams]):
    """Update Nova's records to the host that runs the server since a failover."""

    def __init__(self, context: Context):
        super().__init__(context)
        self.steps = (self.promote, self.move, self.finalize)

    def promote(self, job: Job[FailoverParams]) -> None:
        """Ensure that the holder of the grant runs.

        A guest that has ended is restarted once the records are updated.
        """
        target, epoch = job.params.target, job.params.epoch + 1
        try:
            self._context.agent_api.promote(target, job.server_id, epoch)
        except AgentRefusalError:
            replica = self._context.agent_api.status(target, job.server_id)
            if job.params.source != target and not grants.may_be_needed(replica):
                # the primary goes on, or is restarted from its disk, which has all writes
                grants.return_unused(self._context, job, replica)
                raise
            if replica is None or (replica["role"], replica["epoch"]) != (Role.PROMOTED, epoch):
                raise
            if not has_ended(replica):
                raise
            job.params.ended = True
            why = reasons.NOT_RUNNING_WAITING(reason=reasons.ENDED_BEFORE_RECORDS(host=target))
            self._context.update_claimed(job.server_id, job.id, state=State.ERROR, state_reason=why)

    def move(self, job: Job[FailoverParams]) -> None:
        """Force the move of the server's records, with the target disabled for the scheduler."""
        target = job.params.target
        server = self._context.nova.server(job.server_id)
        if self._records_name_target(job, server):
            return
        assert server is not None
        if job.params.source == target:  # the records named the target when the operation began
            raise WorkflowError(reasons.RECORDS_OUTDATED(host=server.host))
        # until then Nova must not act on the guest: it would start it again from a disk that lacks data
        timeout = self._context.conf.engine.records_timeout
        wait_for(job, lambda: self._has_whole_disks(job), timeout, reasons.DISKS_TIMEOUT)
        lost = self._is_source_lost(job)
        with self._context.gate.closed(target):
            self._move(job, lost)

    def finalize(self, job: Job[FailoverParams]) -> None:
        """Make the agents finalize the failover. Destroy all replicas if the server was deleted meanwhile."""
        source, target, epoch = job.params.source, job.params.target, job.params.epoch + 1
        self._context.placement.release(secondary_id(job.server_id))
        if self._context.nova.server(job.server_id) is None:
            agent_calls.destroy(self._context, job.server_id, target, epoch)
        else:
            self._context.agent_api.finalize(target, job.server_id, epoch)
        if source != target:
            agent_calls.destroy(self._context, job.server_id, source, epoch - 1)
        self._context.update_claimed(job.server_id, job.id, nova_host=target, server_status="ACTIVE")

    def finish(self, job: Job[FailoverParams]) -> Outcome:
        """Return the outcome of success."""
        row = self._context.pair(job.server_id)
        event = reasons.RECORDS_FOLLOWED(host=job.params.target)
        values = {"reserved_host": None, "attempts": 0, "retry_at": None}
        if job.params.ended:
            ended = reasons.ENDED_BEFORE_RECORDS(host=job.params.target)
            why = reasons.NOT_RUNNING_RESTARTING(reason=ended)
            return Outcome(values | {"state": State.ERROR, "state_reason": why}, event)
        why = (
            reasons.FAILED_OVER_UNPROTECTED(reason=row.failover_reason)
            if row.failover_reason
            else reasons.WAITING()
        )
        # a flavor may forbid a new secondary after a loss; a planned failover is no loss
        state = State.DEGRADED if row.auto_reprotect or not job.params.planned else State.UNPROTECTED
        return Outcome(values | {"state": state, "state_reason": why}, event)

    def roll_back(self, job: Job[FailoverParams], error: Reason) -> Outcome:
        """Keep the running replica. The reconciler starts another attempt later."""
        ended = reasons.ENDED_BEFORE_RECORDS(host=job.params.target)
        not_running = reasons.NOT_RUNNING_STUCK(reason=ended, error=error)
        why = not_running if job.params.ended else reasons.RECORDS_STUCK(error=error)
        again = (
            self._context.pair(job.server_id).state_reason == why
        )  # the same error at each attempt is recorded once
        return Outcome({"state": State.ERROR, "state_reason": why}, None if again else why)

    def _move(self, job: Job[FailoverParams], lost: bool) -> None:
        nova, target = self._context.nova, job.params.target
        timeout = self._context.conf.engine.records_timeout
        # another engine may have requested a move before it ended
        wait_for(job, lambda: _idle(nova.server(job.server_id)), timeout, reasons.TASK_TIMEOUT)
        server = nova.server(job.server_id)
        if self._records_name_target(job, server):
            return
        assert server is not None
        self._context.placement.release(secondary_id(job.server_id))
        try:
            request_id = self._start_move(job, server, lost)
            has_moved = lambda: action_finished(self._context, job, request_id, target, migrated=not lost)  # noqa: E731
            wait_for(job, has_moved, timeout, reasons.RECORDS_TIMEOUT)
        except Exception as error:
            if self._has_moved_anyway(job):
                LOG.warning(
                    "Nova moved the records of %s to host %s and then failed: %s",
                    job.server_id,
                    target,
                    error,
                )
                return
            self._reserve_again(job)
            raise

    def _has_moved_anyway(self, job: Job[FailoverParams]) -> bool:
        """Return whether Nova's records name the target although their move failed.

        Return False when Nova does not answer.
        """
        try:
            return self._records_name_target(job, self._context.nova.server(job.server_id))
        except WorkflowError:
            return False

    def _records_name_target(self, job: Job[FailoverParams], server: Server | None) -> bool:
        """Return whether Nova's records name the target, or the server was deleted.

        Nova may fail after it has updated the records, such as when nova-compute is restarted during the
        move. It then leaves the server in ERROR. A guest that the target's driver has adopted is set to
        ACTIVE.
        """
        target = job.params.target
        if server is None:
            return True
        if server.host != target:
            return False
        if server.status == "ERROR" and server.task_state is None:
            replica = self._context.agent_api.status(target, job.server_id)
            if replica is not None and (replica["role"], replica["running"]) == (Role.PRIMARY, True):
                self._context.nova.set_active(job.server_id, job.id)
        return True

    def _repair_allocations(self, server: Server) -> None:
        """Repair what earlier moves have left in Placement. Otherwise Nova refuses a forced move.

        Allocations on hosts that were lost earlier ("complex allocations") are removed by Nova itself when
        such a host is back, and it copes with their absence: ComputeManager._destroy_evacuated_instances. A
        failed live migration holds the allocation on the server's host when nova-compute ended during it.
        """
        nova, placement = self._context.nova, self._context.placement
        providers = nova.providers()
        down = {host for host, service in nova.compute_services().items() if service["forced_down"]}
        lost = [uuid for host, uuid in providers.items() if host in down - {server.host}]
        try:
            placement.remove_allocations(server.id, lost)
        except ServiceError as error:
            LOG.info("Failed to remove allocations of %s: %s", server.id, error)
        provider = providers.get(server.host)
        if provider is not None and not placement.has_allocation(server.id, provider):
            placement.return_allocation(server.id, provider, nova.migrations(server.id))

    def _repair_port_bindings(self, server: Server, target: str, lost: bool) -> None:
        """Repair the port bindings that an ended live migration has left. Otherwise Nova refuses each move.

        Nova binds the ports to the target before nova-compute begins, and Neutron refuses to bind them there
        twice. An ACTIVE binding to the target carries the guest's traffic: before a live migration make the
        binding to the server's host ACTIVE again, as Nova expects it; an evacuation leaves it as it is.
        """
        client = self._context.neutron
        try:
            for port, statuses in client.bindings(server.id).items():
                if statuses.get(target) == neutron.ACTIVE:
                    if lost or server.host not in statuses:
                        continue
                    client.activate_binding(port, server.host)
                if target in statuses:
                    LOG.warning(
                        "Deleting the binding of port %s of server %s to %s.", port, server.id, target
                    )
                    client.delete_binding(port, target)
        except ServiceError as error:
            LOG.warning("Failed to repair the port bindings of server %s: %s", server.id, error)

    def _has_whole_disks(self, job: Job[FailoverParams]) -> bool:
        replica = self._context.agent_api.status(job.params.target, job.server_id)
        return replica is None or not replica.get("committing")

    def _is_source_lost(self, job: Job[FailoverParams]) -> bool:
        """Return whether the source host stays down. A needless fence costs a restart of its nova-compute."""
        source, context = job.params.source, self._context
        is_back = lambda: context.alive(source) or self._is_fenced(source)  # noqa: E731
        if holds_within(job, is_back, context.conf.engine.fence_delay):
            is_decided = lambda: (  # noqa: E731
                self._compute_up(source) or self._is_fenced(source) or not context.alive(source)
            )
            holds_within(job, is_decided, NOVA_COMPUTE_S)
        if job.stopping.is_set():
            raise RuntimeError("The engine is stopping.")
        return not self._compute_up(source)

    def _start_move(self, job: Job[FailoverParams], server: Server, lost: bool) -> str:
        nova, source, target = self._context.nova, job.params.source, job.params.target
        self._repair_allocations(server)
        self._repair_port_bindings(server, target, lost)
        # after a failed move, or a stop that found no guest on the source any more: Nova would refuse to
        # migrate the server, and stop it after an evacuation
        if server.status in ("ERROR", "SHUTOFF"):
            nova.set_active(job.server_id, job.id)
        if not lost:
            agent_calls.demote(self._context, job)
            return nova.live_migrate(job.server_id, target, job.id)
        self._fence(source)
        return nova.evacuate(job.server_id, target, job.id)

    def _reserve_again(self, job: Job[FailoverParams]) -> None:
        """Reserve the capacity on the target again, before the host is enabled for the scheduler."""
        with isolated(f"the reservation of server {job.server_id}"):
            row = self._context.pair(job.server_id)
            if not self._context.capacity.reserve_on(row, job.params.target):
                LOG.warning("No capacity left for %s on host %s.", job.server_id, job.params.target)

    def _compute_up(self, host: str) -> bool:
        if not self._context.alive(host):
            return False
        service = self._context.nova.compute_services().get(host)
        return service is not None and service["state"] == "up"

    def _is_fenced(self, host: str) -> bool:
        with self._context.database.reader() as session:
            return host in hosts.fenced(session)

    def _fence(self, host: str) -> None:
        self._record_fence(host)
        self._context.nova.force_down(host, True)

    @retry_on_loss
    def _record_fence(self, host: str) -> None:
        with self._context.database.writer() as session:
            hosts.fence(session, host, timeutils.utcnow())


def _idle(server: Server | None) -> bool:
    return server is None or server.task_state is None


def action_finished(
    context: Context, job: Job[Any], request_id: str, host: str, migrated: bool = False
) -> bool:
    """Return whether an action has finished, with the server ACTIVE on a host.

    :param migrated: the action is a live migration. Nova then changes host and task at once
        (post_live_migration_at_destination) and has set the task before it accepted the request: without a
        task the action has ended, even if no process is left to record how
    :raises WorkflowError: when the action has failed
    """
    server = context.nova.server(job.server_id)
    if server is None:
        return True
    if server.host == host and server.status == "ACTIVE" and server.task_state is None:
        return True
    ended = migrated and server.host != host and server.task_state is None
    if ended or server.status == "ERROR" or context.nova.action_failed(job.server_id, request_id):
        raise WorkflowError(reasons.NOVA_DID_NOT_FOLLOW(host=host, request=request_id))
    return False
