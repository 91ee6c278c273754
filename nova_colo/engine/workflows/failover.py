# SPDX-License-Identifier: Apache-2.0
"""Workflows that change which replica runs: failover, running unprotected, restart."""

from oslo_log import log as logging
from oslo_utils import timeutils

from nova_colo.agent.rpcapi import AgentAPI
from nova_colo.db import pairs
from nova_colo.engine.context import Context
from nova_colo.engine.errors import WorkflowError
from nova_colo.engine.workflows import agent_calls, grants
from nova_colo.engine.workflows.base import Job, Outcome, Workflow, wait_for
from nova_colo.engine.workflows.record_sync import action_finished
from nova_colo.pair import reasons
from nova_colo.pair.model import Role, State, secondary_id
from nova_colo.pair.operation import FailoverParams, Params, UnprotectParams
from nova_colo.pair.reasons import Reason

LOG = logging.getLogger(__name__)


class Failover(Workflow[FailoverParams]):
    """Make the secondary the primary, in the data plane only. Another workflow updates Nova's records."""

    def __init__(self, context: Context):
        super().__init__(context)
        self.steps = (self.grant, self.switch)

    def grant(self, job: Job[FailoverParams]) -> None:
        """Grant the next epoch to the secondary, after a check that it can resume."""
        target, epoch = job.params.target, job.params.epoch
        # a report may be seconds old: query QEMU before a running primary is paused
        ask = agent_calls.live_status if job.params.planned else AgentAPI.status
        replica = ask(self._context.agent_api, target, job.server_id)
        if replica is not None and replica.get("silent"):
            raise WorkflowError(reasons.REPLICA_SILENT(host=target))
        if replica is None or replica["epoch"] < epoch or not replica["running"]:
            raise WorkflowError(reasons.NO_SECONDARY_TO_RESUME(host=target))
        if not replica.get("disks_equal", True):
            raise WorkflowError(reasons.DISKS_DIFFER())
        if job.params.planned and self._context.alive(job.params.source):
            agent_calls.check_accepts(self._context.agent_api, job.params.source, job.server_id)
        grants.grant(self._context, job, target, previous_host=job.params.source)

    def switch(self, job: Job[FailoverParams]) -> None:
        """Pause the primary if its agent is alive, and promote the secondary."""
        row = self._context.pair(job.server_id)
        target, epoch = job.params.target, job.params.epoch + 1
        if (row.epoch, row.primary_host) != (epoch, target):
            raise WorkflowError(reasons.GRANT_INVALID(epoch=epoch))
        stopped = agent_calls.demote_paired(self._context, job)
        job.params.gap_ms = self._context.agent_api.promote(target, job.server_id, epoch, stopped=stopped)

    def finish(self, job: Job[FailoverParams]) -> Outcome:
        """Return the outcome of success."""
        source, target = job.params.source, job.params.target
        values = {
            "state_reason": reasons.FAILED_OVER_RECORDS(reason=job.params.why),
            "failovers": pairs.Pair.failovers + 1,
            "failover_at": timeutils.utcnow(),
            "failover_reason": job.params.why,
            "failover_gap_ms": job.params.gap_ms,
            "attempts": 0,
            "retry_at": None,
        }
        event = reasons.FAILED_OVER(source=source, target=target, reason=job.params.why)
        return Outcome(values, event, then=("follow", job.params))

    def roll_back(self, job: Job[FailoverParams], error: Reason) -> Outcome:
        """Return the grant to the primary if it runs, once it is certain that the secondary does not."""
        row = self._context.pair(job.server_id)
        source, target = job.params.source, job.params.target
        if (row.epoch, row.primary_host) == (job.params.epoch, source):
            failed = reasons.FAILOVER_FAILED(error=error)
            values = {"state": job.params.previous_state, "state_reason": failed, "return_to": None}
            return Outcome(values, reasons.FAILOVER_UNDONE(error=error))
        why = reasons.FAILOVER_STUCK(error=error)
        stuck = Outcome({"state": State.ERROR, "state_reason": why, "return_to": None}, why)
        if (row.epoch, row.primary_host) != (job.params.epoch + 1, target) or not self._context.alive(source):
            return stuck
        try:
            replica = self._context.agent_api.status(target, job.server_id)
            if grants.may_be_needed(replica) and not self._runs(source, job.server_id):
                return stuck  # it is the only one left
            if not grants.return_unused(self._context, job, replica):
                return stuck  # it runs: another operation updates the records
            self._context.agent_api.run_unprotected(source, job.server_id, job.params.epoch + 2)
        except WorkflowError as second:
            LOG.error("Failed to return the grant for %s to host %s: %s", job.server_id, source, second)
            return stuck
        self._context.placement.release(secondary_id(job.server_id))
        values = {
            "state": State.DEGRADED,
            "state_reason": reasons.FAILOVER_FAILED_UNPROTECTED(error=error),
            "return_to": None,
        }
        return Outcome(values, reasons.FAILOVER_RETURNED(host=source, error=error))

    def _runs(self, host: str, server_id: str) -> bool:
        """Return whether a host's replica certainly runs."""
        replica = self._context.agent_api.status(host, server_id)
        return replica is not None and replica["running"] and not replica.get("silent")


class RunUnprotected(Workflow[UnprotectParams]):
    """Run the primary unprotected. Another workflow removes its secondary, which may take longer."""

    def __init__(self, context: Context):
        super().__init__(context)
        self.steps = (self.grant, self.run_unprotected)

    def grant(self, job: Job[UnprotectParams]) -> None:
        """Grant the next epoch to the primary. The pair has no secondary from then on."""
        row = self._context.pair(job.server_id)
        if row.secondary_host is None and (row.primary_host, row.epoch) == (
            job.params.source,
            job.params.epoch,
        ):
            job.params.epoch -= 1  # an earlier attempt was granted this epoch, and has failed since
            return
        values = {
            "state": State.DEGRADED,
            "state_reason": reasons.RUNNING_UNPROTECTED(reason=job.params.why),
            "previous_host": None,
        }
        grants.grant(self._context, job, job.params.source, **values)

    def run_unprotected(self, job: Job[UnprotectParams]) -> None:
        """Run the primary unprotected."""
        self._context.agent_api.run_unprotected(job.params.source, job.server_id, job.params.epoch + 1)

    def finish(self, job: Job[UnprotectParams]) -> Outcome:
        """Return the outcome of success."""
        # the state was set with the grant; its users may have requested a new secondary since
        lost = reasons.SECONDARY_LOST(reason=job.params.why)
        event = reasons.SECONDARY_GIVEN_UP(reason=job.params.why, host=job.params.source)
        values = {
            "state_reason": lost,
            "return_to": None,
            "reserved_host": None,
            "attempts": 0,
            "retry_at": None,
        }
        return Outcome(values, event, then=("remove_secondary", job.params))


class Restart(Workflow[Params]):
    """Restart a server from its disk after all its QEMUs have ended."""

    def __init__(self, context: Context):
        super().__init__(context)
        self.steps = (self.restart,)

    def restart(self, job: Job[Params]) -> None:
        """Reboot the server through Nova."""
        self._context.placement.release(secondary_id(job.server_id))
        source, epoch = job.params.source, job.params.epoch
        # also a secondary that has the grant and ended before it was promoted
        agent_calls.unprotect_known(self._context.agent_api, source, job.server_id, epoch, tuple(Role))
        request_id = self._context.nova.reboot(job.server_id, job.id)
        timeout = self._context.conf.engine.records_timeout
        has_ended = lambda: action_finished(self._context, job, request_id, source)  # noqa: E731
        wait_for(job, has_ended, timeout, reasons.RESTART_TIMEOUT)

    def finish(self, job: Job[Params]) -> Outcome:
        """Return the outcome of success."""
        reason = reasons.RESTARTED(reason=job.params.why)
        values = {
            "state": State.UNPROTECTED,
            "state_reason": reason,
            "secondary_host": None,
            "reserved_host": None,
        }
        return Outcome(values, reason)
