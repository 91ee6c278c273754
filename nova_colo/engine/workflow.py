# SPDX-License-Identifier: Apache-2.0
"""What a workflow is: idempotent steps on one server, and what becomes of its pair at the end."""

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import tenacity

from nova_colo.engine.services import Services, WorkflowError
from nova_colo.pair.model import State


@dataclasses.dataclass
class Job:
    """A workflow on one server.

    :param params: what its steps know; recorded with each
    :param stopping: set when this engine must begin nothing more; another goes on
    """

    id: str
    server_id: str
    kind: str
    step: int
    params: dict[str, Any]
    stopping: threading.Event


class Workflow:
    """Steps in order. Each may be repeated; finish() and roll_back() return the columns of the pair at the end."""

    steps: tuple[Callable[[Job], None], ...]

    def __init__(self, services: Services):
        self._services = services

    def finish(self, job: Job) -> dict[str, Any]:
        """Return the pair's columns after success."""
        raise NotImplementedError()

    def roll_back(self, job: Job, error: str) -> dict[str, Any]:
        """Undo what can be undone, by default nothing, and return the pair's columns after failure."""
        return {"state": State.ERROR, "state_reason": error}


def wait_for(job: Job, condition: Callable[[], bool], timeout: float, what: str) -> None:
    """Wait until a condition holds.

    :param timeout: seconds
    :param what: what is waited for, for the error
    :raises WorkflowError: when it does not hold in time, or this engine is stopping
    """
    waiting = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda held: not held),
        wait=tenacity.wait_fixed(0.3),
        sleep=tenacity.sleep_using_event(job.stopping),
        stop=tenacity.stop_any(tenacity.stop_after_delay(timeout), tenacity.stop_when_event_set(job.stopping)),
    )
    try:
        waiting(condition)
    except tenacity.RetryError as error:
        raise WorkflowError(f"{what} has not happened within {timeout:.0f} s.") from error
