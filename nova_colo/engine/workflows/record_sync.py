# SPDX-License-Identifier: Apache-2.0
"""Nova's records follow a failover: a move in which nova-compute moves nothing and adopts the guest."""

from oslo_log import log as logging
from oslo_utils import timeutils

from nova_colo.db import hosts, pairs, retry_on_loss
from nova_colo.engine.clients.nova import Server
from nova_colo.engine.context import Services
from nova_colo.engine.errors import AgentRefusalError, ServiceError, WorkflowError
from nova_colo.engine.isolation import isolated
from nova_colo.engine.workflows import agent_calls
from nova_colo.engine.workflows.base import Job, Outcome, Workflow, holds_within, wait_for
from nova_colo.pair import health, reasons
from nova_colo.pair.model import Role, State, secondary_id
from nova_colo.pair.reasons import Reason

LOG = logging.getLogger(__name__)

#: Seconds for which Nova may take a nova-compute for down that is well: a broker that is restarted loses its report, and it waits
#: for the answer for a minute (rpc_response_timeout).
NOVA_COMPUTE_S = 90.0


class Follow(Workflow):
    """Makes Nova's records name the host that runs the server since a failover."""

    def __init__(self, services: Services):
        super().__init__(services)
        self.steps = (self.promote, self.move, self.settle)

    def promote(self, job: Job) -> None:
        """Make sure that the holder of the grant runs. One that has ended is restarted there, once Nova knows it to be there."""
        target, epoch = job.params["target"], job.params["epoch"] + 1
        try:
            self._services.ask(target, "promote", server_id=job.server_id, epoch=epoch)
        except AgentRefusalError:
            replica = self._services.ask(target, "status", server_id=job.server_id)
            if replica is None or (replica["role"], replica["epoch"], replica["running"]) != (
                Role.PROMOTED,
                epoch,
                False,
            ):
                raise
            job.params["ended"] = True
            why = reasons.NOT_RUNNING_WAITING(reason=reasons.ENDED_BEFORE_RECORDS(host=target))
            values = {"state": State.ERROR, "state_reason": why}
            known = health.with_health(pairs.core(self._services.pair(job.server_id)), values)
            self._services.update_claimed(job.server_id, job.id, **known)

    def move(self, job: Job) -> None:
        """Move the server's records by force, with the target closed to others."""
        target = job.params["target"]
        server = self._services.nova.server(job.server_id)
        if self._is_there(job, server):
            return
        assert server is not None
        if job.params["source"] == target:  # it was there when this was begun
            raise WorkflowError(reasons.RECORDS_OUTDATED(host=server.host))
        lost = self._is_lost(job)
        with self._services.gate.closed(target):
            self._forget_dead_hosts(server)
            self._move(job, lost)

    def settle(self, job: Job) -> None:
        """Tell the agents that the records have followed; or that the server was deleted before that, and all of it may go."""
        source, target, epoch = job.params["source"], job.params["target"], job.params["epoch"] + 1
        self._services.placement.release(secondary_id(job.server_id))
        if self._services.nova.server(job.server_id) is None:
            agent_calls.discard(self._services, job.server_id, target)
        else:
            self._services.ask(target, "settle", server_id=job.server_id, epoch=epoch)
        if source != target:
            agent_calls.discard(self._services, job.server_id, source)
        self._services.update_claimed(job.server_id, job.id, nova_host=target, server_status="ACTIVE")

    def finish(self, job: Job) -> Outcome:
        """Return how it has ended well."""
        row = self._services.pair(job.server_id)
        followed = reasons.RECORDS_FOLLOWED(host=job.params["target"])
        values = {"reserved_host": None, "attempts": 0, "retry_at": None}
        if job.params.get("ended"):
            ended = reasons.ENDED_BEFORE_RECORDS(host=job.params["target"])
            why = reasons.NOT_RUNNING_RESTARTING(reason=ended)
            return Outcome(values | {"state": State.ERROR, "state_reason": why}, followed)
        why = (
            reasons.FAILED_OVER_ALONE(reason=row.failover_reason)
            if row.failover_reason
            else reasons.WAITING()
        )
        # a flavor may forbid a new secondary after a loss; nothing was lost when somebody asked for the failover
        state = State.DEGRADED if row.auto_reprotect or not job.params.get("planned") else State.UNPROTECTED
        return Outcome(values | {"state": state, "state_reason": why}, followed)

    def roll_back(self, job: Job, error: Reason) -> Outcome:
        """Keep what runs; the reconciler lets the records follow again later."""
        ended = reasons.ENDED_BEFORE_RECORDS(host=job.params["target"])
        not_running = reasons.NOT_RUNNING_STUCK(reason=ended, error=error)
        why = not_running if job.params.get("ended") else reasons.RECORDS_STUCK(error=error)
        again = (
            self._services.pair(job.server_id).state_reason == why
        )  # the same at each attempt is said once
        return Outcome({"state": State.ERROR, "state_reason": why}, None if again else why)

    def _move(self, job: Job, lost: bool) -> None:
        nova, target = self._services.nova, job.params["target"]
        timeout = self._services.conf.engine.records_timeout
        # a move that an engine asked for before it was restarted
        wait_for(job, lambda: _idle(nova.server(job.server_id)), timeout, reasons.TASK_TIMEOUT)
        server = nova.server(job.server_id)
        if self._is_there(job, server):
            return
        assert server is not None
        self._services.placement.release(secondary_id(job.server_id))
        try:
            request_id = self._ask_nova(job, server, lost)
            has_moved = lambda: settled(self._services, job, request_id, target, migrated=not lost)  # noqa: E731
            wait_for(job, has_moved, timeout, reasons.RECORDS_TIMEOUT)
        except Exception as error:
            if self._has_moved_all_the_same(job):
                LOG.warning(
                    "Nova has moved the records of %s to %s and then failed: %s", job.server_id, target, error
                )
                return
            self._reserve_again(job)
            raise

    def _has_moved_all_the_same(self, job: Job) -> bool:
        """Return whether Nova's records name the target after their move has failed; not when that cannot be told now."""
        try:
            return self._is_there(job, self._services.nova.server(job.server_id))
        except WorkflowError:
            return False

    def _is_there(self, job: Job, server: Server | None) -> bool:
        """Return whether Nova's records name the target, or Nova has no such server any more.

        Nova may have failed after that, as when a nova-compute was restarted in the middle. It has the server in ERROR then, and
        leaves it so. One that its driver has adopted there is active.
        """
        target = job.params["target"]
        if server is None:
            return True
        if server.host != target:
            return False
        if server.status == "ERROR" and server.task_state is None:
            replica = self._services.ask(target, "status", server_id=job.server_id)
            if replica is not None and (replica["role"], replica["running"]) == (Role.PRIMARY, True):
                self._services.nova.set_active(job.server_id, job.id)
        return True

    def _forget_dead_hosts(self, server: Server) -> None:
        """Remove what earlier dead hosts still hold of a server in placement: Nova refuses force else ("complex allocations").

        Nova itself does it when such a host is back, and finds it done then: ComputeManager._destroy_evacuated_instances.
        """
        if server.task_state is not None:
            return
        down = {
            host for host, service in self._services.nova.compute_services().items() if service["forced_down"]
        }
        providers = [
            uuid for host, uuid in self._services.nova.providers().items() if host in down - {server.host}
        ]
        try:
            self._services.placement.forget(server.id, providers)
        except ServiceError as error:
            LOG.info("Allocations of %s stay as they are: %s", server.id, error)

    def _is_lost(self, job: Job) -> bool:
        """Return whether the old host stays away: a fence that was not needed costs a restart of its nova-compute."""
        source, services = job.params["source"], self._services
        back = lambda: services.alive(source) or self._is_fenced(source)  # noqa: E731
        if holds_within(job, back, services.conf.engine.fence_delay):
            known = lambda: self._compute_up(source) or self._is_fenced(source) or not services.alive(source)  # noqa: E731
            holds_within(job, known, NOVA_COMPUTE_S)
        if job.stopping.is_set():
            raise RuntimeError("The next engine asks.")
        return not self._compute_up(source)

    def _ask_nova(self, job: Job, server: Server, lost: bool) -> str:
        nova, source, target = self._services.nova, job.params["source"], job.params["target"]
        if not lost:
            if server.status == "ERROR":  # as after a move that has failed: Nova would refuse another
                nova.set_active(job.server_id, job.id)
            agent_calls.demote(self._services, job)
            return nova.live_migrate(job.server_id, target, job.id)
        self._fence(source)
        return nova.evacuate(job.server_id, target, job.id)

    def _reserve_again(self, job: Job) -> None:
        """Take the room on the target again before the host is opened to others."""
        with isolated(f"The room of server {job.server_id}"):
            row = self._services.pair(job.server_id)
            if not self._services.room.keep(row, job.params["target"]):
                LOG.warning("The room of %s on %s was taken by another.", job.server_id, job.params["target"])

    def _compute_up(self, host: str) -> bool:
        if not self._services.alive(host):
            return False
        service = self._services.nova.compute_services().get(host)
        return service is not None and service["state"] == "up"

    def _is_fenced(self, host: str) -> bool:
        with self._services.database.reader() as session:
            return host in hosts.fenced(session)

    def _fence(self, host: str) -> None:
        self._note_fence(host)
        self._services.nova.force_down(host, True)

    @retry_on_loss
    def _note_fence(self, host: str) -> None:
        with self._services.database.writer() as session:
            hosts.fence(session, host, timeutils.utcnow())


def _idle(server: Server | None) -> bool:
    return server is None or server.task_state is None


def settled(services: Services, job: Job, request_id: str, host: str, migrated: bool = False) -> bool:
    """Return whether an action has brought a server to a host and to rest.

    :param migrated: the action is a live migration. Host and task change at once then (post_live_migration_at_destination), and
        the task was set before Nova answered: one whose task is gone has ended, even if nobody is left to say how
    :raises WorkflowError: when the action has failed
    """
    server = services.nova.server(job.server_id)
    if server is None:
        return True
    if server.host == host and server.status == "ACTIVE" and server.task_state is None:
        return True
    ended = migrated and server.host != host and server.task_state is None
    if ended or server.status == "ERROR" or services.nova.action_failed(job.server_id, request_id):
        raise WorkflowError(reasons.NOVA_DID_NOT_FOLLOW(host=host, request=request_id))
    return False
