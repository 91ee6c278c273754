# SPDX-License-Identifier: Apache-2.0
"""Workflows that make and remove secondaries."""

from typing import Any

from oslo_log import log as logging
from oslo_utils import timeutils

from nova_colo.db import pairs
from nova_colo.engine.services import Services, WorkflowError
from nova_colo.engine.workflow import Job, Workflow, wait_for
from nova_colo.pair import placement, words
from nova_colo.pair.model import Health, State, twin_id

LOG = logging.getLogger(__name__)

STEPS = 4


class Protect(Workflow):
    """Make a secondary and start COLO. The primary stays as it is whatever happens."""

    def __init__(self, services: Services):
        super().__init__(services)
        self.steps = (self.reserve, self.prepare, self.start, self.synchronise)

    def reserve(self, job: Job) -> None:
        """Find a host and reserve the room."""
        row = self._services.pair(job.server_id)
        self._progress(job, "finding a host", 1)
        # what an attempt that was cut off has reserved would hide the room that is needed now
        self._services.placement.release(row.twin_id)
        size = placement.Size(row.vcpus, row.memory_mb, row.disk_gb)
        resources = placement.secondary_resources(size)
        hosts = self._services.nova.provider_hosts()
        room = {hosts[uuid]: uuid for uuid in self._services.placement.candidates(resources) if uuid in hosts}
        alive = [host for host in room if self._services.alive(host)]
        ranked = placement.rank_hosts(room, row.primary_host, alive, self._secondaries(), row.previous_host)
        for host in ranked:
            if self._services.placement.reserve(row.twin_id, room[host], resources):
                job.params["target"] = host
                return
        raise WorkflowError(placement.no_host_reason(size, room, row.primary_host))

    def prepare(self, job: Job) -> None:
        """Make the secondary."""
        self._progress(job, "making the secondary", 2)
        job.params["spec"] = self._spec(job)
        self._services.ask(job.params["target"], "prepare_secondary", spec=job.params["spec"])

    def start(self, job: Job) -> None:
        """Start the copy."""
        self._services.ask(job.params["spec"]["primary_host"], "start_replication", spec=job.params["spec"])

    def synchronise(self, job: Job) -> None:
        """Wait until primary and secondary run in step."""
        primary = job.params["spec"]["primary_host"]

        def in_step() -> bool:
            side = self._services.ask(primary, "status", server_id=job.server_id)
            if side is None or not side["running"]:
                raise WorkflowError(f"The guest on {words.host(primary)} ended while its secondary was made.")
            if side["link_up"] is False:
                raise WorkflowError(f"The replication link to {words.host(job.params['target'])} was lost.")
            if side["progress"]:
                self._services.update(job.server_id, progress=side["progress"])
            return side["progress"] is None

        wait_for(job, in_step, self._services.conf.engine.protect_timeout, "The first synchronisation")

    def finish(self, job: Job) -> dict[str, Any]:
        """Return the pair's columns after success."""
        now = timeutils.utcnow()
        return {
            "state": State.PROTECTED,
            "state_reason": "",
            "health": Health.OK,
            "health_reasons": [],
            "secondary_host": job.params["target"],
            "secondary_since": now,
            "protected_since": now,
            "progress": None,
            "attempts": 0,
            "retry_at": None,
        }

    def roll_back(self, job: Job, error: str) -> dict[str, Any]:
        """Leave the primary alone; return the pair's columns after failure."""
        _undo(self._services, job.server_id, job.params.get("spec", {}).get("primary_host"), job.params.get("target"))
        return {
            "state": job.params["previous_state"],
            "state_reason": error,
            "health": Health.CRITICAL,
            "health_reasons": [error],
            "progress": None,
        }

    def _progress(self, job: Job, stage: str, step: int) -> None:
        self._services.update(job.server_id, progress={"stage": stage, "step": step, "of": STEPS, "percent": 0})

    def _secondaries(self) -> dict[str, int]:
        with self._services.database.reader() as session:
            rows = pairs.all_pairs(session)
        counts: dict[str, int] = {}
        for row in rows:
            if row.secondary_host:
                counts[row.secondary_host] = counts.get(row.secondary_host, 0) + 1
        return counts

    def _spec(self, job: Job) -> dict[str, Any]:
        row = self._services.pair(job.server_id)
        totals = {cause: (row.checkpoints or {}).get(cause, 0) for cause in ("mismatch", "periodic", "forced")}
        return {
            "server_id": row.server_id,
            "name": row.name,
            "epoch": row.epoch,
            "primary_host": row.primary_host,
            "secondary_host": job.params["target"],
            "totals": totals,
        }


def _undo(services: Services, server_id: str, primary: str | None, target: str | None) -> None:
    """Remove what a failed protection has made. What a silent host still has is found stale when it is back."""
    for host, method in ((primary, "release"), (target, "discard")):
        if host and services.alive(host):
            try:
                services.ask(host, method, server_id=server_id)
            except WorkflowError as error:
                LOG.warning("Rolling back the protection of %s: %s", server_id, words.reveal(str(error)))
    services.placement.release(twin_id(server_id))


class Unprotect(Workflow):
    """Remove the secondary; the primary's guest runs on, or has ended by Nova's will."""

    def __init__(self, services: Services):
        super().__init__(services)
        self.steps = (self.remove,)

    def remove(self, job: Job) -> None:
        """End the secondary and give its room back."""
        row = self._services.pair(job.server_id)
        if row.secondary_host:
            _undo(self._services, job.server_id, row.primary_host, row.secondary_host)

    def finish(self, job: Job) -> dict[str, Any]:
        """Return the pair's columns after success."""
        return {
            "state": State.UNPROTECTED,
            "state_reason": job.params["reason"],
            **pairs.NO_SECONDARY,
            "progress": None,
        }
