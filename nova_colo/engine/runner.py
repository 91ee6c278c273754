# SPDX-License-Identifier: Apache-2.0
"""Run workflows: lists of idempotent steps, recorded in the database.

Another engine continues a workflow at the step at which its engine was killed.
"""

import datetime
import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any

from oslo_log import log as logging
from oslo_utils import timeutils
from sqlalchemy import orm

from nova_colo.db import events, operations, pairs, retry_on_loss
from nova_colo.db.models import Operation
from nova_colo.engine.context import Context
from nova_colo.engine.errors import OperationEndedError, WorkflowError
from nova_colo.engine.isolation import isolated
from nova_colo.engine.workflows import failover, protect, record_sync, unprotect
from nova_colo.engine.workflows.base import Job, Outcome, Workflow
from nova_colo.pair import reasons
from nova_colo.pair.arbitration import Observation
from nova_colo.pair.model import State
from nova_colo.pair.operation import PARAMS
from nova_colo.pair.reasons import Reason, Severity

LOG = logging.getLogger(__name__)

#: Maximum number of times that the retry interval doubles.
MAX_DOUBLINGS = 4


WORKFLOWS: dict[str, type[Workflow[Any]]] = {
    "protect": protect.Protect,
    "move_secondary": protect.MoveSecondary,
    "unprotect": unprotect.Unprotect,
    "suspend": unprotect.Suspend,
    "power_off": unprotect.PowerOff,
    "set_mode": unprotect.SetMode,
    "failover": failover.Failover,
    "run_alone": failover.RunUnprotected,
    "remove_secondary": unprotect.RemoveSecondary,
    "restart": failover.Restart,
    "follow": record_sync.RecordSync,
}

#: The thread pool of each kind of workflow: a failover waits neither for copies of disks nor for Nova's
#: records.
IMMEDIATE, SHORT, LONG, BACKGROUND = "immediate", "short", "long", "background"
POOLS = {
    "failover": IMMEDIATE,
    "run_alone": IMMEDIATE,
    "follow": "records",
    "power_off": "records",
    "unprotect": SHORT,
    "suspend": SHORT,
    "set_mode": SHORT,
    "remove_secondary": SHORT,
}


class Runner:
    """Runs workflows in pools of threads.

    :param executor: returns a pool of a number of threads with names that begin with a prefix
    """

    def __init__(
        self,
        context: Context,
        executor: Callable[[int, str], futures.Executor] = futures.ThreadPoolExecutor,
    ):
        self._context = context
        workers = context.conf.engine.max_workers
        names = {*POOLS.values(), LONG, BACKGROUND}
        self._pools = {name: executor(workers, name) for name in names}
        self._active: set[str] = set()
        self._waiting: set[str] = set()
        self._lock = threading.Lock()
        self._finished: dict[str, float] = {}
        self._stopping = threading.Event()

    def submit(self, operation: Operation) -> None:
        """Run an operation, unless it is running or queued here already."""
        self._begin(POOLS.get(operation.kind, LONG), operation.id, lambda: self._run(operation.id))

    def run_in_background(self, key: str, task: Callable[[], None]) -> None:
        """Run an idempotent task without a record, unless one with this key is running or queued already."""
        self._begin(BACKGROUND, key, task)

    def _begin(self, pool: str, key: str, task: Callable[[], None]) -> None:
        with self._lock:
            if key in self._active:
                return
            self._active.add(key)
            self._waiting.add(key)

        def run() -> None:
            try:
                with isolated(key):
                    if self.cancel_waiting(key):
                        task()
            finally:
                with self._lock:
                    self._active.discard(key)

        self._pools[pool].submit(run)

    def cancel_waiting(self, key: str) -> bool:
        """Cancel a queued task.

        :returns: False when it is not queued: it has begun, or was cancelled before
        """
        with self._lock:
            waiting = key in self._waiting
            self._waiting.discard(key)
            return waiting

    def finished_since(self, server_id: str, reported_at: float) -> bool:
        """Return whether a server's workflow has ended since a report was made, which shows the state before.

        A report may have been on its way for some time.

        :param reported_at: when the report arrived, on the context's clock
        """
        finished, margin = self._finished.get(server_id), 2 * self._context.conf.agent.report_interval
        return finished is not None and (self._context.clock() - finished < margin or reported_at <= finished)

    def stop(self) -> None:
        """Begin no further step. The next engine continues unfinished operations."""
        self._stopping.set()
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, operation_id: str) -> None:
        """Run an operation. When its end cannot be recorded, the reconciler submits it again."""
        # read again: another engine may have finished it since it was submitted
        operation = self._running(operation_id)
        if operation is None:
            return
        following = self._run_steps(operation)
        if following is not None:
            self.submit(following)

    def _run_steps(self, operation: Operation) -> Operation | None:
        """Run the remaining steps of a workflow. Return the operation that follows it at once, if any."""
        params = PARAMS[operation.kind].read(operation.params)
        job = Job(operation.id, operation.server_id, operation.kind, operation.step, params, self._stopping)
        workflow = WORKFLOWS[job.kind](self._context)
        LOG.info("%s of %s begins at step %d.", job.kind, job.server_id, job.step)
        try:
            for step in workflow.steps[job.step :]:
                if self._stopping.is_set():
                    return None
                retry_on_loss(step)(job)
                job.step += 1
                if not self._advance(job):
                    return None
            outcome = workflow.finish(job)
        except OperationEndedError:
            return None
        except Exception as error:
            if not self._stopping.is_set() and self._running(job.id) is not None:
                self._fail(workflow, job, operation, error)
            return None
        LOG.info("%s of %s is done.", job.kind, job.server_id)
        return self._record(operation, outcome)

    @retry_on_loss
    def _running(self, operation_id: str) -> Operation | None:
        """Return an unfinished operation; None when it has finished, possibly by another engine."""
        with self._context.database.reader() as session:
            operation = operations.get(session, operation_id)
        return operation if operation is not None and operation.status == operations.RUNNING else None

    @retry_on_loss
    def _advance(self, job: Job) -> bool:
        """Record the completed steps. Return False when another engine has ended the operation."""
        with self._context.database.writer() as session:
            return operations.advance(session, job.id, job.step, job.params.data())

    @retry_on_loss
    def _record(self, operation: Operation, outcome: Outcome) -> Operation | None:
        """Record success and its event. Return the operation that follows at once, if any."""
        self._finished[operation.server_id] = self._context.clock()
        with self._context.database.writer() as session:
            if outcome.then is None:
                replicas = self._replicas(session, operation, outcome)
                if operations.finish(session, operation.id, None, replicas, **outcome.values):
                    self._note(session, operation, outcome)
                return None
            kind, params = outcome.then
            following = operations.hand_over(session, operation.id, kind, params.data(), **outcome.values)
            if following is None:
                return None
            self._note(session, operation, outcome)
            return operations.get(session, following)

    def _fail(self, workflow: Workflow, job: Job, operation: Operation, error: Exception) -> None:
        """Roll back and record the first error."""
        expected = isinstance(error, WorkflowError)
        # the text of an unexpected error may have addresses, statements or users; it is logged only
        reason = (
            error.reason if isinstance(error, WorkflowError) else reasons.INTERNAL_ERROR(operation=job.id)
        )
        cause = error.__cause__ or ""
        LOG.warning("%s of %s failed: %s %s", job.kind, job.server_id, error, cause, exc_info=not expected)
        try:
            outcome = retry_on_loss(workflow.roll_back)(job, reason)
        except Exception:
            LOG.exception("Failed to roll back %s of %s.", job.kind, job.server_id)
            outcome = Outcome({"state": State.ERROR, "state_reason": reason}, reason, Severity.ERROR)
        self._end_failed(operation, reason, outcome)

    @retry_on_loss
    def _end_failed(self, operation: Operation, error: Reason, outcome: Outcome) -> None:
        """Record failure and its event."""
        self._finished[operation.server_id] = self._context.clock()
        with self._context.database.writer() as session:
            replicas = self._replicas(session, operation, outcome)
            values = outcome.values | self._backoff(session, operation)
            last = events.newest(session, operation.server_id, 1)
            is_new = operation.requested_by is not None or not last or last[0].reason != outcome.event
            if operations.finish(session, operation.id, error, replicas, **values) and is_new:
                self._note(session, operation, outcome)

    def _replicas(
        self, session: orm.Session, operation: Operation, outcome: Outcome
    ) -> tuple[Observation, Observation] | None:
        """Return the observations of the hosts that have the pair's replicas after an operation."""
        row = pairs.get(session, operation.server_id)
        if row is None:
            return None
        snapshot = self._context.tracker.snapshot()
        secondary_host = outcome.values.get("secondary_host", row.secondary_host)
        return (
            snapshot.observation(row.primary_host, row.server_id),
            snapshot.observation(secondary_host, row.server_id),
        )

    def _backoff(self, session: orm.Session, operation: Operation) -> dict[str, Any]:
        """Return the columns that delay the next attempt. Users' requests are not retried."""
        row = pairs.get(session, operation.server_id)
        if row is None or (operation.requested_by is not None and operation.kind != "follow"):
            return {}
        seconds = self._context.conf.engine.retry_interval * 2 ** min(row.attempts, MAX_DOUBLINGS)
        if POOLS.get(operation.kind) == IMMEDIATE:
            # at once, after 1 s, 3 s, 7 s ...: clients wait
            seconds = min(2 ** min(row.attempts, MAX_DOUBLINGS) - 1, self._context.conf.engine.retry_interval)
        return {
            "attempts": row.attempts + 1,
            "retry_at": timeutils.utcnow() + datetime.timedelta(seconds=seconds),
        }

    def _note(self, session: orm.Session, operation: Operation, outcome: Outcome) -> None:
        if outcome.event is not None:
            who = {"request_id": operation.request_id, "user_id": operation.requested_by}
            events.add(session, operation.server_id, operation.kind, outcome.event, outcome.level, **who)
