# SPDX-License-Identifier: Apache-2.0
"""What workflows are made of: a job, steps that may be repeated, an outcome."""

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import tenacity

from nova_colo.engine.context import Services
from nova_colo.engine.errors import ServiceError, WorkflowError
from nova_colo.pair import reasons
from nova_colo.pair.model import State
from nova_colo.pair.reasons import Kind, Reason, Severity


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

    @property
    def reason(self) -> Reason | None:
        """Why it was begun."""
        return reasons.read(self.params.get("reason"))


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a workflow has ended.

    :param values: columns of the pair to set
    :param event: what has happened; None for nothing that users should read of
    :param level: of the event, if not the severity of its reason
    :param then: kind and parameters of the workflow that follows at once, with the pair still claimed
    """

    values: dict[str, Any]
    event: Reason | None = None
    level: Severity | None = None
    then: tuple[str, dict[str, Any]] | None = None


class Workflow:
    """Steps in order, each of which may be repeated."""

    steps: tuple[Callable[[Job], None], ...]

    def __init__(self, services: Services):
        self._services = services

    def finish(self, job: Job) -> Outcome:
        """Return how it has ended well."""
        raise NotImplementedError()

    def roll_back(self, job: Job, error: Reason) -> Outcome:
        """Undo what can be undone, by default nothing, and return how it has failed.

        :param error: the first error
        """
        return Outcome({"state": State.ERROR, "state_reason": error}, error, Severity.ERROR)


def wait_for(job: Job, condition: Callable[[], bool], timeout: float, missed: Kind) -> None:
    """Wait until a condition holds.

    :param timeout: seconds
    :param missed: the reason of the error; takes ``seconds``
    :raises WorkflowError: when it does not hold in time, or this engine is stopping
    """
    if not holds_within(job, condition, timeout):
        raise WorkflowError(missed(seconds=round(timeout)))


def holds_within(job: Job, condition: Callable[[], bool], timeout: float) -> bool:
    """Wait until a condition holds, and return whether it does: not when the time is over, or this engine is stopping.

    :param timeout: seconds
    """
    waiting = tenacity.Retrying(
        retry=tenacity.retry_any(
            tenacity.retry_if_result(lambda held: not held), tenacity.retry_if_exception(_is_passing)
        ),
        wait=tenacity.wait_fixed(0.3),
        sleep=tenacity.sleep_using_event(job.stopping),
        stop=tenacity.stop_any(
            tenacity.stop_after_delay(timeout), tenacity.stop_when_event_set(job.stopping)
        ),
    )
    try:
        return waiting(condition)
    except tenacity.RetryError:
        return False


def _is_passing(error: BaseException) -> bool:
    """Return whether a service is away for a while, as while it is restarted."""
    return isinstance(error, ServiceError) and (error.status == 0 or error.status >= 500)
