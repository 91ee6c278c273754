# SPDX-License-Identifier: Apache-2.0
"""Workflows that change who runs: failover, running alone, starting anew."""

from typing import Any

from oslo_log import log as logging
from oslo_utils import timeutils

from nova_colo.db import pairs
from nova_colo.engine.context import Services
from nova_colo.engine.errors import OperationEndedError, WorkflowError
from nova_colo.engine.workflows import agent_calls
from nova_colo.engine.workflows.base import Job, Outcome, Workflow, wait_for
from nova_colo.engine.workflows.record_sync import settled
from nova_colo.pair import health, reasons
from nova_colo.pair.model import Role, State, secondary_id
from nova_colo.pair.reasons import Reason

LOG = logging.getLogger(__name__)


class Failover(Workflow):
    """The secondary becomes the primary: the data plane only, and at once. Nova's records follow in a workflow of their own."""

    def __init__(self, services: Services):
        super().__init__(services)
        self.steps = (self.grant, self.switch)

    def grant(self, job: Job) -> None:
        """Grant the next epoch to the secondary, if it is there to take it: else the primary would be stopped for nothing."""
        target, epoch = job.params["target"], job.params["epoch"]
        replica = self._services.ask(target, "status", server_id=job.server_id)
        if replica is None or replica["epoch"] < epoch or not replica["running"]:
            raise WorkflowError(reasons.NO_SECONDARY_TO_RESUME(host=target))
        _grant(self._services, job, target, previous_host=job.params["source"])

    def switch(self, job: Job) -> None:
        """Stop the primary if it can be reached, and let the secondary run."""
        row = self._services.pair(job.server_id)
        target, epoch = job.params["target"], job.params["epoch"] + 1
        if (row.epoch, row.primary_host) != (epoch, target):
            raise WorkflowError(reasons.GRANT_INVALID(epoch=epoch))
        stopped = agent_calls.demote_paired(self._services, job)
        job.params["gap_ms"] = self._services.ask(
            target, "promote", server_id=job.server_id, epoch=epoch, stopped=stopped
        )

    def finish(self, job: Job) -> Outcome:
        """Return how it has ended well."""
        source, target = job.params["source"], job.params["target"]
        values = {
            "state_reason": reasons.FAILED_OVER_RECORDS(reason=job.reason),
            "failovers": pairs.Pair.failovers + 1,
            "failover_at": timeutils.utcnow(),
            "failover_reason": job.reason,
            "failover_gap_ms": job.params["gap_ms"],
        }
        event = reasons.FAILED_OVER(source=source, target=target, reason=job.reason)
        return Outcome(values, event, then=("follow", job.params))

    def roll_back(self, job: Job, error: Reason) -> Outcome:
        """Give the grant back to the primary, once it is sure that the secondary does not run."""
        row = self._services.pair(job.server_id)
        source, target = job.params["source"], job.params["target"]
        if (row.epoch, row.primary_host) == (job.params["epoch"], source):
            failed = reasons.FAILOVER_FAILED(error=error)
            values = {"state": job.params["previous_state"], "state_reason": failed, "return_to": None}
            return Outcome(values, reasons.FAILOVER_UNDONE(error=error))
        why = reasons.FAILOVER_STUCK(error=error)
        stuck = Outcome({"state": State.ERROR, "state_reason": why, "return_to": None}, why)
        if (row.epoch, row.primary_host) != (job.params["epoch"] + 1, target) or not self._services.alive(
            source
        ):
            return stuck
        try:
            replica = self._services.ask(target, "status", server_id=job.server_id)
            if replica is not None and replica["role"] != Role.SECONDARY:
                return stuck  # it runs: the records follow by another workflow
            if replica is not None:
                kept = {"role": Role.SECONDARY, "epoch": replica["epoch"]}
                self._services.ask(target, "discard", server_id=job.server_id, **kept)
                if self._services.ask(target, "status", server_id=job.server_id) is not None:
                    return stuck  # another engine has let it run meanwhile
            self._give_back(job, row.epoch, source)
        except WorkflowError as second:
            LOG.error("Giving %s back to %s: %s", job.server_id, source, second)
            return stuck
        self._services.placement.release(secondary_id(job.server_id))
        values = {
            "state": State.DEGRADED,
            "state_reason": reasons.FAILOVER_FAILED_ALONE(error=error),
            "return_to": None,
        }
        return Outcome(values, reasons.FAILOVER_RETURNED(host=source, error=error))

    def _give_back(self, job: Job, epoch: int, source: str) -> None:
        with self._services.database.writer() as session:
            granted = pairs.grant(
                session, job.server_id, epoch, job.id, primary_host=source, **pairs.NO_SECONDARY
            )
        if not granted:
            raise WorkflowError(reasons.GRANT_MISSED())
        self._services.ask(source, "run_alone", server_id=job.server_id, epoch=epoch + 1)


class RunAlone(Workflow):
    """The primary goes on without its twin."""

    def __init__(self, services: Services):
        super().__init__(services)
        self.steps = (self.grant, self.go_on, self.drop)

    def grant(self, job: Job) -> None:
        """Grant the next epoch to the primary, which has no secondary from then on."""
        row = self._services.pair(job.server_id)
        values = {
            "state": State.DEGRADED,
            "state_reason": reasons.RUNNING_ALONE(reason=job.reason),
            "previous_host": None,
        }
        _grant(
            self._services,
            job,
            job.params["source"],
            **health.with_health(pairs.core(row), values | pairs.NO_SECONDARY),
        )

    def go_on(self, job: Job) -> None:
        """Let the primary run."""
        self._services.ask(
            job.params["source"], "run_alone", server_id=job.server_id, epoch=job.params["epoch"] + 1
        )

    def drop(self, job: Job) -> None:
        """Remove what there is of the secondary."""
        self._services.placement.release(secondary_id(job.server_id))
        agent_calls.discard(self._services, job.server_id, job.params["target"])

    def finish(self, job: Job) -> Outcome:
        """Return how it has ended well."""
        # degraded it is since the grant; meanwhile its users may have asked for a new secondary
        lost = reasons.SECONDARY_LOST(reason=job.reason)
        event = reasons.SECONDARY_GIVEN_UP(reason=job.reason, host=job.params["source"])
        return Outcome({"state_reason": lost, "return_to": None, "reserved_host": None}, event)


class Restart(Workflow):
    """Both QEMUs are gone: start the server anew from its disk, as Nova would."""

    def __init__(self, services: Services):
        super().__init__(services)
        self.steps = (self.restart,)

    def restart(self, job: Job) -> None:
        """Reboot the server through Nova."""
        self._services.placement.release(secondary_id(job.server_id))
        self._services.ask(job.params["source"], "release", server_id=job.server_id)
        request_id = self._services.nova.reboot(job.server_id, job.id)
        timeout = self._services.conf.engine.records_timeout
        has_ended = lambda: settled(self._services, job, request_id, job.params["source"])  # noqa: E731
        wait_for(job, has_ended, timeout, reasons.RESTART_TIMEOUT)

    def finish(self, job: Job) -> Outcome:
        """Return how it has ended well."""
        reason = reasons.RESTARTED(reason=job.reason)
        values = {
            "state": State.UNPROTECTED,
            "state_reason": reason,
            **pairs.NO_SECONDARY,
            "reserved_host": None,
        }
        return Outcome(values, reason)


def _grant(services: Services, job: Job, to: str, **values: Any) -> None:
    """Grant epoch + 1; doing it again after a crash finds that it is done."""
    epoch = job.params["epoch"]
    since = {"primary_since": timeutils.utcnow()} if to != job.params["source"] else {}
    values |= since | pairs.NO_SECONDARY | {"primary_host": to}
    with services.database.writer() as session:
        if pairs.grant(session, job.server_id, epoch, job.id, **values):
            return
    row = services.pair(job.server_id)
    if row.epoch == epoch:
        raise OperationEndedError()
    if (row.epoch, row.primary_host) != (epoch + 1, to):
        raise WorkflowError(reasons.GRANT_GIVEN(epoch=epoch + 1, host=row.primary_host))
