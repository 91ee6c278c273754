# SPDX-License-Identifier: Apache-2.0
"""The real engine, which kills itself in the middle of workflows; test_engine_killed runs it as a program.

``python engine_that_dies.py POINTS REACHED --config-file ...``, in its own process group. POINTS is a JSON
file ``{server_id: [kind, step, when]}``. A workflow of this kind on this server blocks ``before`` this step,
or ``after`` it and before the database is updated, or within it when it has ``asked`` Nova for an action,
which Nova executes. Each blocked workflow adds a line to the file REACHED. When all are blocked, the process
group is killed with SIGKILL.
"""

import json
import os
import pathlib
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from nova_colo.cmd import engine  # first, since it selects the backend of oslo.service
from nova_colo.engine import runner
from nova_colo.engine.clients.nova import NovaClient
from nova_colo.engine.workflows.base import Job, Workflow


class Points:
    """The points at which workflows block."""

    def __init__(self, points: dict[str, list[str]], reached: pathlib.Path):
        self._points = {server_id: tuple(point) for server_id, point in points.items()}
        self._path = reached
        self._reached: set[str] = set()
        self._lock = threading.Lock()
        self._at: dict[str, tuple[str, str]] = {}

    def enter(self, job: Job, step: str) -> None:
        """Record that a step begins."""
        self._at[job.server_id] = (job.kind, step)
        self.stop_at(job.server_id, "before")

    def stop_at(self, server_id: str, when: str) -> None:
        """Block for ever at the server's point, and kill the process group when it is the last one."""
        if (*self._at.get(server_id, ()), when) != self._points.get(server_id):
            return
        with self._lock:
            self._reached.add(server_id)
            with self._path.open("a") as file:
                file.write(f"{server_id}\n")
            if len(self._reached) == len(self._points):
                # the group, since the parent of this process would start another one
                os.killpg(0, signal.SIGKILL)
        threading.Event().wait()


def _stopping(points: Points, step: Callable[[Job], None]) -> Callable[[Job], None]:
    def run(job: Job) -> None:
        points.enter(job, step.__name__)
        step(job)
        points.stop_at(job.server_id, "after")

    return run


def _patch_workflow(points: Points, cls: type[Workflow]) -> type[Workflow]:
    class Dying(cls):  # type: ignore[misc,valid-type]
        def __init__(self, services: Any):
            super().__init__(services)
            self.steps = tuple(_stopping(points, step) for step in self.steps)

    return Dying


def _patch_nova(points: Points) -> None:
    act = NovaClient._act

    def asked(self: NovaClient, server_id: str, *arguments: Any) -> str:
        request_id = act(self, server_id, *arguments)
        points.stop_at(server_id, "asked")
        return request_id

    NovaClient._act = asked  # type: ignore[method-assign]


def main() -> int:
    """Run the engine until it kills itself."""
    points = Points(json.loads(pathlib.Path(sys.argv.pop(1)).read_text()), pathlib.Path(sys.argv.pop(1)))
    runner.WORKFLOWS.update({kind: _patch_workflow(points, cls) for kind, cls in runner.WORKFLOWS.items()})
    _patch_nova(points)
    return engine.main()


if __name__ == "__main__":
    sys.exit(main())
