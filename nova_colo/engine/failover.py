# SPDX-License-Identifier: Apache-2.0
"""Workflows that let one side run alone, and make Nova's records follow."""

from typing import Any

from oslo_log import log as logging
from oslo_utils import timeutils

from nova_colo.db import hosts, pairs
from nova_colo.engine.nova import Server
from nova_colo.engine.rest import ServiceError
from nova_colo.engine.services import Services, WorkflowError
from nova_colo.engine.workflow import Job, Workflow, wait_for
from nova_colo.pair import words
from nova_colo.pair.model import Role, State, twin_id

LOG = logging.getLogger(__name__)

DISABLED_REASON = "nova-colo: a failover to this host is in progress"
ALONE = "The server runs without a secondary until it is protected again."


class Failover(Workflow):
    """The secondary becomes the primary. Data plane first, records after."""

    def __init__(self, services: Services):
        super().__init__(services)
        self._records = Records(services)
        self.steps = (self.grant, self.switch, self._records.follow, self._records.settle)

    def grant(self, job: Job) -> None:
        """Grant the next epoch to the secondary, if it is there to take it: else the primary would be stopped for nothing."""
        target, epoch = job.params["target"], job.params["epoch"]
        side = self._services.ask(target, "status", server_id=job.server_id)
        if side is None or side["epoch"] < epoch or not side["running"]:
            raise WorkflowError(f"There is no secondary on {words.host(target)} that could resume.")
        _grant(self._services, job, target, previous_host=job.params["source"])

    def switch(self, job: Job) -> None:
        """Stop the primary if it can be reached, and let the secondary run."""
        row = self._services.pair(job.server_id)
        target, epoch = job.params["target"], job.params["epoch"] + 1
        if (row.epoch, row.primary_host) != (epoch, target):
            raise WorkflowError(f"The grant for epoch {epoch} is no longer valid.")
        _demote(self._services, job)
        self._services.ask(target, "promote", server_id=job.server_id, epoch=epoch)

    def finish(self, job: Job) -> dict[str, Any]:
        """Return the pair's columns after success."""
        return _failed_over(job)

    def roll_back(self, job: Job, error: str) -> dict[str, Any]:
        """Give the grant back to the primary, once it is sure that the secondary does not run; return the pair's columns."""
        row = self._services.pair(job.server_id)
        source, target = job.params["source"], job.params["target"]
        if (row.epoch, row.primary_host) == (job.params["epoch"], source):
            return {"state": job.params["previous_state"], "state_reason": f"The failover failed: {error}"}
        failed = {"state": State.ERROR, "state_reason": f"The failover is not finished: {error}"}
        if (row.epoch, row.primary_host) != (job.params["epoch"] + 1, target) or not self._services.alive(source):
            return failed
        try:
            side = self._services.ask(target, "status", server_id=job.server_id)
            if side is not None and side["role"] != Role.SECONDARY:
                return failed  # it runs: the records follow by another workflow
            self._services.ask(target, "discard", server_id=job.server_id)
            self._give_back(job, row.epoch, source)
        except WorkflowError as second:
            LOG.error("Giving %s back to %s: %s", job.server_id, source, words.reveal(str(second)))
            return failed
        self._services.placement.release(twin_id(job.server_id))
        return {"state": State.DEGRADED, "state_reason": f"The failover failed: {error} {ALONE}"}

    def _give_back(self, job: Job, epoch: int, source: str) -> None:
        with self._services.database.writer() as session:
            granted = pairs.grant(session, job.server_id, epoch, primary_host=source, **pairs.NO_SECONDARY)
        if not granted:
            raise WorkflowError("Another grant was given meanwhile.")
        self._services.ask(source, "run_alone", server_id=job.server_id, epoch=epoch + 1)


class Follow(Workflow):
    """Nova's records follow a failover whose workflow has ended before they had."""

    def __init__(self, services: Services):
        super().__init__(services)
        self._records = Records(services)
        self.steps = (self.promote, self._records.follow, self._records.settle)

    def promote(self, job: Job) -> None:
        """Make sure that the holder of the grant runs."""
        self._services.ask(job.params["target"], "promote", server_id=job.server_id, epoch=job.params["epoch"] + 1)

    def finish(self, job: Job) -> dict[str, Any]:
        """Return the pair's columns after success."""
        return _failed_over(job)


class RunAlone(Workflow):
    """The primary goes on without its twin."""

    def __init__(self, services: Services):
        super().__init__(services)
        self.steps = (self.grant, self.go_on, self.drop)

    def grant(self, job: Job) -> None:
        """Grant the next epoch to the primary."""
        _grant(self._services, job, job.params["source"], previous_host=None)

    def go_on(self, job: Job) -> None:
        """Let the primary run."""
        self._services.ask(job.params["source"], "run_alone", server_id=job.server_id, epoch=job.params["epoch"] + 1)

    def drop(self, job: Job) -> None:
        """Remove what there is of the secondary."""
        self._services.placement.release(twin_id(job.server_id))
        _discard(self._services, job.server_id, job.params["target"])

    def finish(self, job: Job) -> dict[str, Any]:
        """Return the pair's columns after success."""
        return {"state": State.DEGRADED, "state_reason": f"Secondary lost: {job.params['reason']}. {ALONE}"}


class Restart(Workflow):
    """Both QEMUs are gone: start the server anew from its disk, as Nova would."""

    def __init__(self, services: Services):
        super().__init__(services)
        self.steps = (self.restart,)

    def restart(self, job: Job) -> None:
        """Reboot the server through Nova."""
        self._services.placement.release(twin_id(job.server_id))
        self._services.ask(job.params["source"], "release", server_id=job.server_id)
        request_id = self._services.nova.reboot(job.server_id)
        timeout = self._services.conf.engine.records_timeout
        wait_for(job, lambda: _settled(self._services, job, request_id, job.params["source"]), timeout, "The restart")

    def finish(self, job: Job) -> dict[str, Any]:
        """Return the pair's columns after success."""
        return {
            "state": State.UNPROTECTED,
            "state_reason": f"The server was restarted: {job.params['reason']}.",
            **pairs.NO_SECONDARY,
        }


class Records:
    """Makes Nova's records follow what runs: a move in which nova-compute moves nothing and adopts the guest."""

    def __init__(self, services: Services):
        self._services = services

    def follow(self, job: Job) -> None:
        """Move the server's records to the target, and leave the target enabled, also after an engine that has not."""
        target = job.params["target"]
        with self._services.moving_to(target):
            try:
                server = self._services.nova.server(job.server_id)
                if server is not None and server.host != target:
                    self._move(job)
            finally:
                self._services.nova.enable(target, DISABLED_REASON)

    def settle(self, job: Job) -> None:
        """Tell the agents that the records have followed."""
        source, target, epoch = job.params["source"], job.params["target"], job.params["epoch"] + 1
        self._services.placement.release(twin_id(job.server_id))
        self._services.ask(target, "settle", server_id=job.server_id, epoch=epoch)
        _discard(self._services, job.server_id, source)
        self._services.update(job.server_id, nova_host=target, server_status="ACTIVE")

    def _move(self, job: Job) -> None:
        """Move by force, with the target closed to others; if Nova refuses that, without force.

        Nova refuses the force ("complex allocations") while an earlier dead host still holds an allocation of the server.
        """
        target = job.params["target"]
        self._services.nova.disable(target, DISABLED_REASON)
        self._services.placement.release(twin_id(job.server_id))
        try:
            self._move_once(job, force=True)
            return
        except RefusedError as error:
            LOG.info("Forced move of %s to %s: %s Trying without force.", job.server_id, target, words.reveal(str(error)))
        self._services.nova.enable(target, DISABLED_REASON)
        self._move_once(job, force=False)

    def _move_once(self, job: Job, force: bool) -> None:
        nova, source, target = self._services.nova, job.params["source"], job.params["target"]
        timeout = self._services.conf.engine.records_timeout
        # a move that an engine asked for before it was restarted
        wait_for(job, lambda: _idle(nova.server(job.server_id)), timeout, "The end of Nova's present task")
        server = nova.server(job.server_id)
        if server is None or server.host == target:
            return
        try:
            if self._compute_up(source):
                _demote(self._services, job)
                request_id = nova.live_migrate(job.server_id, target, force)
            else:
                self._fence(source)
                request_id = nova.evacuate(job.server_id, target, force)
        except ServiceError as error:
            raise RefusedError("Nova did not accept the move.") from error
        wait_for(job, lambda: _settled(self._services, job, request_id, target), timeout, "The move of Nova's records")

    def _compute_up(self, host: str) -> bool:
        service = self._services.nova.compute_services().get(host)
        return self._services.alive(host) and service is not None and service["state"] == "up"

    def _fence(self, host: str) -> None:
        with self._services.database.writer() as session:
            hosts.fence(session, host, timeutils.utcnow())
        self._services.nova.force_down(host, True)


class RefusedError(WorkflowError):
    """Nova has refused a move, or given it up; the server is where it was."""


def _failed_over(job: Job) -> dict[str, Any]:
    """Return a pair's columns after a failover whose records have followed."""
    return {
        "state": State.DEGRADED,
        "state_reason": f"Failed over: {job.params['reason']}. {ALONE}",
        "failovers": pairs.Pair.failovers + 1,
        "failover_at": timeutils.utcnow(),
        "failover_reason": job.params["reason"],
        "attempts": 0,
        "retry_at": None,
    }


def _demote(services: Services, job: Job) -> None:
    """Stop the old primary, if it can be reached; its compute driver gives the records away only then."""
    source = job.params["source"]
    if not services.alive(source):
        return
    try:
        services.ask(source, "demote", server_id=job.server_id, epoch=job.params["epoch"] + 1)
    except WorkflowError as error:
        # it holds no grant for this epoch, so it cannot answer clients whatever state it is in
        LOG.warning("Failing over %s: %s", job.server_id, words.reveal(str(error)))


def _idle(server: Server | None) -> bool:
    return server is None or server.task_state is None


def _settled(services: Services, job: Job, request_id: str, host: str) -> bool:
    """Return whether an action has brought a server to a host and to rest.

    :raises WorkflowError: when the action has failed
    """
    server = services.nova.server(job.server_id)
    if server is None:
        return True
    if server.host == host and server.status == "ACTIVE" and server.task_state is None:
        return True
    if server.status == "ERROR" or services.nova.action_failed(job.server_id, request_id):
        raise RefusedError(f"Nova did not follow to {words.host(host)} (request {request_id}).")
    return False


def _grant(services: Services, job: Job, to: str, **values: Any) -> None:
    """Grant epoch + 1; doing it again after a crash finds that it is done."""
    epoch = job.params["epoch"]
    since = {"primary_since": timeutils.utcnow()} if to != job.params["source"] else {}
    values |= since | pairs.NO_SECONDARY | {"primary_host": to}
    with services.database.writer() as session:
        if pairs.grant(session, job.server_id, epoch, **values):
            return
    row = services.pair(job.server_id)
    if (row.epoch, row.primary_host) != (epoch + 1, to):
        raise WorkflowError(f"The grant for epoch {epoch + 1} was given to {words.host(row.primary_host)} before.")


def _discard(services: Services, server_id: str, host: str | None) -> None:
    """End a side that holds no grant; what cannot be reached now is found stale when its agent is back."""
    if host is None or not services.alive(host):
        return
    try:
        services.ask(host, "discard", server_id=server_id)
    except WorkflowError as error:
        LOG.warning("A side of %s is left for later: %s", server_id, words.reveal(str(error)))
