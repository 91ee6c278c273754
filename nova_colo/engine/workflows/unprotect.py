# SPDX-License-Identifier: Apache-2.0
"""Workflows that remove protection, temporarily or not, and that change the replication mode."""

from http import HTTPStatus

from nova_colo.engine.context import Context
from nova_colo.engine.errors import ServiceError, WorkflowError
from nova_colo.engine.workflows import agent_calls
from nova_colo.engine.workflows.base import Job, Outcome, Workflow, wait_for
from nova_colo.pair import arbitration, reasons
from nova_colo.pair.model import State, actual_mode, secondary_id
from nova_colo.pair.operation import ModeParams, UnprotectParams
from nova_colo.pair.reasons import Reason

REMOVING = {"stage": reasons.REMOVING.code, "step": 1, "of": 1, "percent": None}


class Unprotect(Workflow[UnprotectParams]):
    """Remove the secondary. The primary's guest runs on, or has been stopped by Nova."""

    state = State.UNPROTECTED

    def __init__(self, context: Context):
        super().__init__(context)
        self.steps = (self.remove, self.release)

    def remove(self, job: Job[UnprotectParams]) -> None:
        """Destroy the secondary."""
        row = self._context.pair(job.server_id)
        values = {"state": self.state, "state_reason": reasons.REMOVING_SECONDARY(), "progress": REMOVING}
        secondary = row.secondary_host or job.params.target
        agent_calls.remove_secondary(self._context, job, row, secondary, **values)

    def release(self, job: Job[UnprotectParams]) -> None:
        """Release its reservation, unless that is kept for the next secondary."""
        if not self._keeps_reservation(job):
            self._context.placement.release(self._context.pair(job.server_id).secondary_id)

    def finish(self, job: Job[UnprotectParams]) -> Outcome:
        """Return the outcome of success."""
        reserved = job.params.target if self._keeps_reservation(job) else None
        values = {
            "state": self.state,
            "state_reason": job.params.why,
            "secondary_host": None,
            "reserved_host": reserved,
            "return_to": None,
            "first_error": None,
            "progress": None,
            "attempts": 0,
            "retry_at": None,
        }
        return Outcome(values, job.params.why)

    def roll_back(self, job: Job[UnprotectParams], error: Reason) -> Outcome:
        """Leave the pair to the reconciler, which tries again."""
        return Outcome({"state_reason": error, "progress": None}, reasons.UNPROTECT_FAILED(error=error))

    def _keeps_reservation(self, job: Job[UnprotectParams]) -> bool:
        return job.params.keep_reservation


class Suspend(Unprotect):
    """Remove the secondary and keep its reservation."""

    state = State.SUSPENDED

    def _keeps_reservation(self, job: Job[UnprotectParams]) -> bool:
        return True


class PowerOff(Unprotect):
    """Stop in Nova a server whose guest has powered itself off, and keep its reservation."""

    def __init__(self, context: Context):
        super().__init__(context)
        self.steps = (*self.steps, self.stop)

    def remove(self, job: Job[UnprotectParams]) -> None:
        """Destroy the secondary, unless the server was started again."""
        replica = self._context.agent_api.status(job.params.source, job.server_id)
        if replica is not None and not replica.get("shut_down"):
            raise WorkflowError(reasons.RUNS_AGAIN(host=job.params.source))
        super().remove(job)

    def stop(self, job: Job[UnprotectParams]) -> None:
        """Stop the server in Nova, which may be about to do so itself."""
        if not self._is_stopped(job):
            try:
                self._context.nova.stop(job.server_id, job.id)
            except ServiceError as error:
                if error.status != HTTPStatus.CONFLICT:
                    raise
        timeout = self._context.conf.engine.records_timeout
        wait_for(job, lambda: self._is_stopped(job), timeout, reasons.STOP_TIMEOUT)
        # until Nova's servers are listed again
        self._context.update_claimed(job.server_id, job.id, server_status="SHUTOFF")

    def _is_stopped(self, job: Job[UnprotectParams]) -> bool:
        server = self._context.nova.server(job.server_id)
        return server is None or server.status in arbitration.STOPPED

    def _keeps_reservation(self, job: Job[UnprotectParams]) -> bool:
        return True


class RemoveSecondary(Workflow[UnprotectParams]):
    """Remove the secondary of a primary that already runs unprotected."""

    def __init__(self, context: Context):
        super().__init__(context)
        self.steps = (self.destroy, self.release)

    def destroy(self, job: Job[UnprotectParams]) -> None:
        """Destroy the secondary."""
        agent_calls.destroy(self._context, job.server_id, job.params.target, job.params.epoch)

    def release(self, job: Job[UnprotectParams]) -> None:
        """Release its reservation."""
        self._context.placement.release(secondary_id(job.server_id))

    def finish(self, job: Job[UnprotectParams]) -> Outcome:
        """Return the outcome of success."""
        return Outcome({})

    def roll_back(self, job: Job[UnprotectParams], error: Reason) -> Outcome:
        """Leave the rest to the reconciler, which destroys orphaned replicas, and to ReservationRepair."""
        return Outcome({})


class SetMode(Workflow[ModeParams]):
    """Change the replication mode of a live pair."""

    def __init__(self, context: Context):
        super().__init__(context)
        self.steps = (self.apply,)

    def apply(self, job: Job[ModeParams]) -> None:
        """Set the mode of both replicas.

        The secondary's is set first: it must discard its replies before the primary's mode changes.
        """
        row = self._context.pair(job.server_id)
        for host in (row.secondary_host, row.primary_host):
            if host is not None:
                self._context.agent_api.set_mode(
                    host,
                    job.server_id,
                    job.params.mode,
                    row.checkpoint_interval_ms,
                    job.params.actual,
                )

    def finish(self, job: Job[ModeParams]) -> Outcome:
        """Return the outcome of success."""
        mode, actual = job.params.mode, job.params.actual
        event = reasons.MODE_CHANGED(policy=mode, mode=actual) if actual else reasons.MODE_SET(mode=mode)
        return Outcome({"mode_policy": mode, "mode": actual or actual_mode(mode)}, event)

    def roll_back(self, job: Job[ModeParams], error: Reason) -> Outcome:
        """Keep the previous mode."""
        return Outcome({}, reasons.MODE_FAILED(mode=job.params.mode, error=error))
