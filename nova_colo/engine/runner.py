# SPDX-License-Identifier: Apache-2.0
"""Runs workflows: lists of idempotent steps, recorded in the database, so that another engine can go on where one was killed."""

import datetime
import threading
import time
from concurrent import futures

from oslo_log import log as logging
from oslo_utils import timeutils

from nova_colo.db import operations, pairs
from nova_colo.db.models import Operation
from nova_colo.engine import failover, protect
from nova_colo.engine.services import Services, WorkflowError
from nova_colo.engine.workflow import Job, Workflow
from nova_colo.pair import words
from nova_colo.pair.model import State

LOG = logging.getLogger(__name__)

#: How often the retry interval doubles at most.
MAX_DOUBLINGS = 4


WORKFLOWS: dict[str, type[Workflow]] = {
    "protect": protect.Protect,
    "unprotect": protect.Unprotect,
    "failover": failover.Failover,
    "run_alone": failover.RunAlone,
    "follow": failover.Follow,
    "restart": failover.Restart,
}


URGENT = ("failover", "run_alone", "follow")


class Runner:
    """Two pools of threads, one workflow each: what is urgent does not wait for copies of disks."""

    def __init__(self, services: Services):
        self._services = services
        workers = services.conf.engine.max_workers
        self._urgent = futures.ThreadPoolExecutor(workers, thread_name_prefix="urgent")
        self._patient = futures.ThreadPoolExecutor(workers, thread_name_prefix="patient")
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
        pool = self._urgent if operation.kind in URGENT else self._patient
        pool.submit(self._run, operation.id)

    def just_finished(self, server_id: str, now: float) -> bool:
        """Return whether a workflow on a server ended so lately that heartbeats may still show what was before it.

        :param now: seconds of the monotonic clock
        """
        return now - self._finished.get(server_id, -1e9) < 2 * self._services.conf.agent.heartbeat_interval

    def stop(self) -> None:
        """Begin no further step; what is unfinished goes on in the next engine."""
        self._stopping.set()
        for pool in (self._urgent, self._patient):
            pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, operation_id: str) -> None:
        try:
            # read again: the one that was submitted may have been read before it was finished
            with self._services.database.reader() as session:
                operation = operations.get(session, operation_id)
            if operation is None or operation.status != operations.RUNNING:
                return
            job = Job(operation.id, operation.server_id, operation.kind, operation.step, dict(operation.params), self._stopping)
            self._run_steps(job)
            self._finished[job.server_id] = time.monotonic()
        except Exception:
            LOG.exception("Operation %s could not be recorded; it will be taken up again.", operation_id)
        finally:
            with self._lock:
                self._active.discard(operation_id)

    def _run_steps(self, job: Job) -> None:
        workflow = WORKFLOWS[job.kind](self._services)
        LOG.info("%s of %s begins at step %d.", job.kind, job.server_id, job.step)
        try:
            for step in workflow.steps[job.step :]:
                if self._stopping.is_set():
                    return
                step(job)
                job.step += 1
                with self._services.database.writer() as session:
                    if not operations.advance(session, job.id, job.step, job.params):
                        return
        except Exception as error:
            if not self._stopping.is_set():
                self._fail(workflow, job, error)
            return
        with self._services.database.writer() as session:
            operations.finish(session, job.id, None, **workflow.finish(job))
        LOG.info("%s of %s is done.", job.kind, job.server_id)

    def _fail(self, workflow: Workflow, job: Job, error: Exception) -> None:
        """Roll back and record the first error."""
        message = str(error)
        if not isinstance(error, WorkflowError):
            # its text may name addresses, statements or users; it is in the log
            message = f"Internal error in operation {job.id}. See the log of nova-colo-engine."
        LOG.warning("%s of %s failed: %s", job.kind, job.server_id, words.reveal(str(error)), exc_info=True)
        try:
            values = workflow.roll_back(job, message)
        except Exception:
            LOG.exception("%s of %s could not be rolled back.", job.kind, job.server_id)
            values = {"state": State.ERROR, "state_reason": message}
        with self._services.database.writer() as session:
            row = pairs.get(session, job.server_id)
            attempts = row.attempts if row else 0
            seconds = self._services.conf.engine.retry_interval * 2 ** min(attempts, MAX_DOUBLINGS)
            values |= {"attempts": attempts + 1, "retry_at": timeutils.utcnow() + datetime.timedelta(seconds=seconds)}
            operations.finish(session, job.id, message, **values)
