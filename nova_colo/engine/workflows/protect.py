# SPDX-License-Identifier: Apache-2.0
"""Workflows that create and move secondaries."""

import dataclasses
from typing import Any, TypeVar

from oslo_utils import timeutils

from nova_colo.agent.replication import PairSpec
from nova_colo.agent.rpcapi import has_ended
from nova_colo.db import pairs
from nova_colo.db.models import Pair
from nova_colo.engine.context import Context
from nova_colo.engine.errors import WorkflowError
from nova_colo.engine.workflows import agent_calls
from nova_colo.engine.workflows.base import Job, Outcome, Workflow, holds_within
from nova_colo.pair import arbitration, reasons
from nova_colo.pair.model import Role, State, Wanted
from nova_colo.pair.operation import MoveParams, ProtectParams
from nova_colo.pair.reasons import Kind, Reason, Severity

STEPS = 4
P = TypeVar("P", bound=ProtectParams)


class CreateSecondary(Workflow[P]):
    """Create a secondary and start COLO. The primary runs on if that fails."""

    def __init__(self, context: Context):
        super().__init__(context)
        self.steps = (self.reserve, self.prepare, self.start, self.synchronise)

    def reserve(self, job: Job[P]) -> None:
        """Find a host and reserve capacity for the secondary there."""
        row = self._wanted(job)
        # the status in the row may be as old as nova_poll_interval
        server = self._context.nova.server(job.server_id)
        if server is not None and server.status != "ACTIVE":
            self._context.update_claimed(job.server_id, job.id, server_status=server.status)
            raise WorkflowError(reasons.NOT_ACTIVE(status=server.status))
        self._progress(job, reasons.FINDING_HOST, 1)
        job.params.target = self._context.capacity.reserve(row)

    def prepare(self, job: Job[P]) -> None:
        """Create the secondary."""
        self._progress(job, reasons.MAKING, 2)
        spec, agents = self._spec(job), self._context.agent_api
        job.params.spec = dataclasses.asdict(spec)
        primary = agents.describe(spec.primary_host, spec)
        job.params.secondary = agents.prepare_secondary(job.params.target, spec, primary)

    def start(self, job: Job[P]) -> None:
        """Start replication."""
        spec = PairSpec(**job.params.spec)
        self._context.agent_api.start_replication(spec.primary_host, spec, job.params.secondary)

    def synchronise(self, job: Job[P]) -> None:
        """Wait until primary and secondary are in sync.

        :raises WorkflowError: also when protection is no longer wanted
        """
        primary = job.params.spec["primary_host"]

        def in_sync() -> bool:
            row = self._wanted(job)
            replica = self._context.agent_api.status(primary, job.server_id)
            if replica is None or has_ended(replica):
                raise WorkflowError(reasons.GUEST_ENDED(host=primary))
            if replica["role"] == Role.LEAVING:
                raise WorkflowError(reasons.LEAVING(host=primary))
            if (error := reasons.read(replica["error"])) is not None:
                raise WorkflowError(error)
            if replica["link_up"] is False:
                raise WorkflowError(reasons.LINK_LOST_MAKING(host=job.params.target))
            if replica["progress"] and replica["progress"] != row.progress:
                self._context.update_claimed(job.server_id, job.id, progress=replica["progress"])
            job.params.stood_still_ms = replica.get("stood_still_ms")
            return replica["progress"] is None

        timeout, progress = self._context.conf.engine.protect_timeout, None
        while not holds_within(job, in_sync, timeout):
            now = self._context.pair(job.server_id).progress
            if job.stopping.is_set() or now == progress:
                raise WorkflowError(reasons.SYNC_TIMEOUT(seconds=timeout))
            progress = now  # of a large guest

    def finish(self, job: Job[P]) -> Outcome:
        """Return the outcome of success."""
        now, target = timeutils.utcnow(), job.params.target
        row = self._context.pair(job.server_id)
        values: dict[str, Any] = {
            "state": State.PROTECTED,
            "state_reason": None,
            "secondary_host": target,
            "secondary_since": now,
            "protected_since": now,
            "reserved_host": None,
            "progress": None,
            "first_error": None,
            "attempts": 0,
            "retry_at": None,
        }
        more = []
        if job.params.stood_still_ms is not None:
            more.append(reasons.PAUSED_FOR(ms=round(job.params.stood_still_ms)))
        if row.return_to and row.return_to != target:
            values["return_to"] = None
            more.append(reasons.NO_TEST_RETURN(host=row.return_to))
        return Outcome(values, reasons.PROTECTED(host=target, more=more))

    def roll_back(self, job: Job[P], error: Reason) -> Outcome:
        """Unprotect the primary and destroy the secondary."""
        row = self._context.pair(job.server_id)
        epoch = job.params.spec.get("epoch", job.params.epoch)
        agent_calls.unprotect(self._context, job.server_id, job.params.spec.get("primary_host"), epoch)
        agent_calls.destroy(self._context, job.server_id, job.params.target, epoch)
        self._context.placement.release(row.secondary_id)
        values: dict[str, Any] = {"progress": None, "reserved_host": None, "return_to": None}
        if row.wanted != Wanted.PROTECTED:
            return Outcome(values | {"state": State.UNPROTECTED, "state_reason": error}, error)
        if row.server_status != "ACTIVE":  # stopped by Nova; nothing has failed
            pair = pairs.to_model(row)
            state = (
                arbitration.idle_state(pair) if arbitration.idle_reason(pair) else job.params.previous_state
            )
            return Outcome(
                values | {"state": state, "state_reason": reasons.NOT_ACTIVE(status=row.server_status)}
            )
        values |= {
            "state": job.params.previous_state,
            "state_reason": error,
            "first_error": row.first_error or error,
        }
        again = error == row.first_error  # the same error at each attempt is recorded once
        return Outcome(values, None if again else reasons.NOT_PROTECTED(error=error))

    def _wanted(self, job: Job[P]) -> Pair:
        """Return the pair's row.

        :raises WorkflowError: when protection is no longer wanted
        """
        row = self._context.pair(job.server_id)
        unwanted = arbitration.unwanted_reason(pairs.to_model(row))
        if unwanted is not None:
            raise WorkflowError(unwanted)
        return row

    def _progress(self, job: Job[P], stage: Kind, step: int) -> None:
        progress = {"stage": stage.code, "step": step, "of": STEPS, "percent": 0}
        self._context.update_claimed(job.server_id, job.id, progress=progress)

    def _spec(self, job: Job[P]) -> PairSpec:
        row = self._context.pair(job.server_id)
        totals = {
            cause: (row.checkpoints or {}).get(cause, 0) for cause in ("mismatch", "periodic", "forced")
        }
        return PairSpec(
            server_id=row.server_id,
            name=row.name,
            epoch=row.epoch,
            primary_host=row.primary_host,
            secondary_host=job.params.target,
            totals=totals,
            mode=row.mode_policy,
            interval_ms=row.checkpoint_interval_ms,
        )


class Protect(CreateSecondary[ProtectParams]):
    """Create a secondary for a server that has none."""


class MoveSecondary(CreateSecondary[MoveParams]):
    """Create the secondary on another host.

    Capacity is reserved there before the present one is destroyed.
    """

    def __init__(self, context: Context):
        super().__init__(context)
        self.steps = (self.find, self.leave, self.prepare, self.start, self.synchronise)

    def find(self, job: Job[MoveParams]) -> None:
        """Reserve capacity on another host in addition to the present one."""
        row = self._wanted(job)
        self._progress(job, reasons.FINDING_HOST, 1)
        job.params.target = self._context.capacity.reserve_additional(row, job.params.wanted_host)

    def leave(self, job: Job[MoveParams]) -> None:
        """Remove the present secondary."""
        row = self._context.pair(job.server_id)
        agent_calls.remove_secondary(self._context, job, row, job.params.old)
        self._context.capacity.reserve_on(row, job.params.target)

    def finish(self, job: Job[MoveParams]) -> Outcome:
        """Return the outcome of success."""
        result = super().finish(job)
        return Outcome(result.values, reasons.MOVED(old=job.params.old, new=job.params.target))

    def roll_back(self, job: Job[MoveParams], error: Reason) -> Outcome:
        """Keep the present secondary if it has not been removed; else the server is protected again later."""
        row = self._context.pair(job.server_id)
        why = reasons.NOT_MOVED(error=error)
        if row.secondary_host is not None:
            self._context.capacity.reserve_on(row, row.secondary_host)
            return Outcome({"state": State.PROTECTED, "state_reason": why, "progress": None}, why)
        failed = super().roll_back(job, error)
        state = {"state": State.DEGRADED} if row.wanted == Wanted.PROTECTED else {}
        return Outcome(failed.values | state, why, Severity.ERROR)
