# SPDX-License-Identifier: Apache-2.0
"""The base of workflows: jobs, steps that may be repeated, outcomes."""

import dataclasses
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import tenacity

from nova_colo.engine.context import Context
from nova_colo.engine.errors import ServiceError, WorkflowError
from nova_colo.pair.model import State
from nova_colo.pair.operation import Params
from nova_colo.pair.reasons import Kind, Reason, Severity

P = TypeVar("P", bound=Params)


@dataclasses.dataclass
class Job(Generic[P]):
    """A run of a workflow on one server.

    :param params: the data of its steps; recorded after each step
    :param stopping: set when this engine must not continue; another engine will
    """

    id: str
    server_id: str
    kind: str
    step: int
    params: P
    stopping: threading.Event


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome of a workflow.

    :param values: columns of the pair to set
    :param event: the event to record; None for none
    :param level: the level of the event, if other than the severity of its reason
    :param then: kind and parameters of the operation that follows at once, with the pair still claimed
    """

    values: dict[str, Any]
    event: Reason | None = None
    level: Severity | None = None
    then: tuple[str, Params] | None = None


class Workflow(Generic[P]):
    """Steps in order, each of which may be repeated."""

    steps: tuple[Callable[[Job[P]], None], ...]

    def __init__(self, context: Context):
        self._context = context

    def finish(self, job: Job[P]) -> Outcome:
        """Return the outcome of success."""
        raise NotImplementedError()

    def roll_back(self, job: Job[P], error: Reason) -> Outcome:
        """Undo what can be undone, by default nothing, and return the outcome of failure.

        :param error: the first error
        """
        return Outcome({"state": State.ERROR, "state_reason": error}, error, Severity.ERROR)


def wait_for(job: Job[Any], condition: Callable[[], bool], timeout: float, timed_out: Kind) -> None:
    """Wait until a condition holds.

    :param timeout: seconds
    :param timed_out: the reason of the error; takes ``seconds``
    :raises WorkflowError: when it does not hold in time, or this engine is stopping
    """
    if not holds_within(job, condition, timeout):
        raise WorkflowError(timed_out(seconds=round(timeout)))


def holds_within(job: Job[Any], condition: Callable[[], bool], timeout: float) -> bool:
    """Wait until a condition holds. Return False when it does not hold in time, or this engine is stopping.

    :param timeout: seconds
    """
    waiting = tenacity.Retrying(
        retry=tenacity.retry_any(
            tenacity.retry_if_result(lambda held: not held), tenacity.retry_if_exception(_is_temporary)
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


def _is_temporary(error: BaseException) -> bool:
    """Return whether an error is temporary, such as while a service is restarted."""
    return isinstance(error, ServiceError) and (error.status == 0 or error.status >= 500)
