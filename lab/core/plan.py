# SPDX-License-Identifier: Apache-2.0
"""Run steps that depend on each other, concurrently where possible, and show the elapsed time."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from lab.core.errors import LabError

Show = Callable[[str], None]
Action = Callable[[], None]


class Clock:
    """Show lines with the seconds since its creation."""

    def __init__(self, show: Show = print) -> None:
        self._began = time.monotonic()
        self._show = show

    def seconds(self) -> float:
        """Return the seconds since the clock was created."""
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        """Show the elapsed time, then ``text``."""
        self._show(f"{self.seconds():6.1f}s  {text}")


def _explain(step: str, error: BaseException) -> LabError:
    """Return the error to show to the user for a failed step."""
    if isinstance(error, LabError):
        return error
    explained = LabError(f"the step '{step}' failed: {type(error).__name__}: {error}")
    explained.__cause__ = error
    return explained


@dataclass
class Plan:
    """Steps by name, each with the names of the steps that it depends on."""

    clock: Clock
    _steps: dict[str, tuple[Action, tuple[str, ...]]] = field(default_factory=dict)

    def add(self, name: str, action: Action, needs: Iterable[str] = ()) -> None:
        """Add a step. Its dependencies must have been added before, so there are no cycles."""
        needs = tuple(needs)
        unknown = [need for need in needs if need not in self._steps]
        if unknown or name in self._steps:
            raise ValueError(f"step {name!r} exists already or needs unknown steps: {unknown}")
        self._steps[name] = (action, needs)

    def run(self) -> None:
        """Run all steps. After the first failure no further step is started, and that failure is raised."""
        waiting = dict(self._steps)
        done: set[str] = set()
        running: dict[Future[None], str] = {}
        failure: LabError | None = None
        with ThreadPoolExecutor(max_workers=max(1, len(waiting))) as pool:
            while running or (waiting and failure is None):
                if failure is None:
                    for name in [name for name, (_, needs) in waiting.items() if done.issuperset(needs)]:
                        running[pool.submit(waiting.pop(name)[0])] = name
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    name = running.pop(future)
                    error = future.exception()
                    if error is None:
                        done.add(name)
                        self.clock.say(name)
                    else:
                        failure = failure or _explain(name, error)
        if failure is not None:
            raise failure
