# SPDX-License-Identifier: Apache-2.0
"""Runs workflows: lists of idempotent steps, recorded in the database, so that another engine can go on where one was killed."""

import datetime
import threading
import time
from concurrent import futures
from typing import Any, Protocol

from oslo_log import log as logging
from oslo_utils import timeutils

from nova_colo.db import operations
from nova_colo.db.models import Operation
from nova_colo.engine import failover, protect
from nova_colo.engine.services import Job, Services
from nova_colo.pair import words

LOG = logging.getLogger(__name__)

#: How often the retry interval doubles at most.
MAX_DOUBLINGS = 4


class Workflow(Protocol):
    """Steps in order; finish() and roll_back() return the columns of the pair at the end."""

    steps: tuple[Any, ...]

    def finish(self, job: Job) -> dict[str, Any]:
        """Return the pair's columns after success."""

    def roll_back(self, job: Job, error: str) -> dict[str, Any]:
        """Undo what can be undone and return the pair's columns after failure."""


WORKFLOWS: dict[str, type] = {
    "protect": protect.Protect,
    "unprotect": protect.Unprotect,
    "failover": failover.Failover,
    "run_alone": failover.RunAlone,
    "follow": failover.Follow,
    "restart": failover.Restart,
}


class Runner:
    """A pool of threads, one workflow each."""

    def __init__(self, services: Services):
        self._services = services
        self._pool = futures.ThreadPoolExecutor(services.conf.engine.max_workers, thread_name_prefix="workflow")
        self._active: set[str] = set()
        self._lock = threading.Lock()
        self._finished: dict[str, float] = {}
        self._stopping = threading.Event()

    def submit(self, operation: Operation) -> None:
        """Run an operation, unless it runs here already."""
        with self._lock:
            if operation.id in self._active:
                return
            self._active.add(operation.id)
        job = Job(operation.id, operation.server_id, operation.kind, operation.step, dict(operation.params), self._stopping)
        self._pool.submit(self._run, job)

    def just_finished(self, server_id: str, now: float) -> bool:
        """Return whether a workflow on a server ended so lately that heartbeats may still show what was before it.

        :param now: seconds of the monotonic clock
        """
        return now - self._finished.get(server_id, -1e9) < 2 * self._services.conf.agent.heartbeat_interval

    def stop(self) -> None:
        """Begin no further step; what is unfinished goes on in the next engine."""
        self._stopping.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, job: Job) -> None:
        try:
            self._run_steps(job)
        except Exception:
            LOG.exception("Operation %s on %s could not be recorded; it will be taken up again.", job.kind, job.server_id)
        finally:
            with self._lock:
                self._finished[job.server_id] = time.monotonic()
                self._active.discard(job.id)

    def _run_steps(self, job: Job) -> None:
        workflow: Workflow = WORKFLOWS[job.kind](self._services)
        LOG.info("%s of %s begins at step %d.", job.kind, job.server_id, job.step)
        try:
            for step in workflow.steps[job.step :]:
                if self._stopping.is_set():
                    return
                step(job)
                job.step += 1
                with self._services.database.writer() as session:
                    operations.advance(session, job.id, job.step, job.params)
        except Exception as error:
            if not self._stopping.is_set():
                self._fail(workflow, job, error)
            return
        with self._services.database.writer() as session:
            operations.finish(session, job.id, job.server_id, None, **workflow.finish(job))
        LOG.info("%s of %s is done.", job.kind, job.server_id)

    def _fail(self, workflow: Workflow, job: Job, error: Exception) -> None:
        """Roll back and record the first error."""
        message = str(error) or type(error).__name__
        LOG.warning("%s of %s failed: %s", job.kind, job.server_id, words.reveal(message), exc_info=True)
        values = workflow.roll_back(job, message)
        row = self._services.pair(job)
        seconds = self._services.conf.engine.retry_interval * 2 ** min(row.attempts, MAX_DOUBLINGS)
        values |= {"attempts": row.attempts + 1, "retry_at": timeutils.utcnow() + datetime.timedelta(seconds=seconds)}
        with self._services.database.writer() as session:
            operations.finish(session, job.id, job.server_id, message, **values)
