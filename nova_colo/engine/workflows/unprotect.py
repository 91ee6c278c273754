# SPDX-License-Identifier: Apache-2.0
"""Workflows that take protection off, for a while or for good, and that change its mode."""

from nova_colo.db import pairs
from nova_colo.engine.context import Services
from nova_colo.engine.workflows import agent_calls
from nova_colo.engine.workflows.base import Job, Outcome, Workflow
from nova_colo.pair import health, reasons
from nova_colo.pair.model import State, actual_mode
from nova_colo.pair.reasons import Reason

REMOVING = {"stage": reasons.REMOVING.code, "step": 1, "of": 1, "percent": None}


class Unprotect(Workflow):
    """Remove the secondary; the primary's guest runs on, or has ended by Nova's will."""

    state = State.UNPROTECTED

    def __init__(self, services: Services):
        super().__init__(services)
        self.steps = (self.remove, self.give_back)

    def remove(self, job: Job) -> None:
        """End the secondary."""
        row = self._services.pair(job.server_id)
        values = {"state": self.state, "state_reason": reasons.REMOVING_SECONDARY(), "progress": REMOVING}
        secondary = row.secondary_host or job.params["target"]
        known = health.with_health(pairs.core(row), values | pairs.NO_SECONDARY)
        agent_calls.give_up(self._services, job, row.primary_host, secondary, **known)

    def give_back(self, job: Job) -> None:
        """Give its room back, unless it is kept for the next one."""
        if not self._keeps_room(job):
            self._services.placement.release(self._services.pair(job.server_id).secondary_id)

    def finish(self, job: Job) -> Outcome:
        """Return how it has ended well."""
        reserved = job.params["target"] if self._keeps_room(job) else None
        values = {
            "state": self.state,
            "state_reason": job.reason,
            **pairs.NO_SECONDARY,
            "reserved_host": reserved,
            "return_to": None,
            "first_error": None,
            "progress": None,
            "attempts": 0,
            "retry_at": None,
        }
        return Outcome(values, job.reason)

    def roll_back(self, job: Job, error: Reason) -> Outcome:
        """Leave the pair to the reconciler, which sees what is wanted and tries again."""
        return Outcome({"state_reason": error, "progress": None}, reasons.UNPROTECT_FAILED(error=error))

    def _keeps_room(self, job: Job) -> bool:
        return bool(job.params.get("keep_room"))


class Suspend(Unprotect):
    """Remove the secondary and keep its room."""

    state = State.SUSPENDED

    def _keeps_room(self, job: Job) -> bool:
        return True


class SetMode(Workflow):
    """Change how a live pair synchronises."""

    def __init__(self, services: Services):
        super().__init__(services)
        self.steps = (self.apply,)

    def apply(self, job: Job) -> None:
        """Tell both replicas, the secondary first: it must be able to follow."""
        row = self._services.pair(job.server_id)
        for host in (row.secondary_host, row.primary_host):
            if host is not None:
                arguments = {name: job.params.get(name) for name in ("mode", "actual")}
                arguments["interval_ms"] = row.checkpoint_interval_ms
                self._services.ask(host, "set_mode", server_id=job.server_id, **arguments)

    def finish(self, job: Job) -> Outcome:
        """Return how it has ended well."""
        mode, actual = job.params["mode"], job.params.get("actual")
        event = reasons.MODE_CHANGED(policy=mode, mode=actual) if actual else reasons.MODE_SET(mode=mode)
        return Outcome({"mode_policy": mode, "mode": actual or actual_mode(mode)}, event)

    def roll_back(self, job: Job, error: Reason) -> Outcome:
        """Leave the mode as it was."""
        return Outcome({}, reasons.MODE_FAILED(mode=job.params["mode"], error=error))
