# SPDX-License-Identifier: Apache-2.0
"""What is written to standard output: lines and tables for people, or JSON."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from rich import progress
from rich.console import Console

#: Columns where nobody looks: lines and tables are not to be broken for a screen that is not there.
WIDE = 1000
#: Percents between two plain lines of progress.
STEP = 10


class Screen:
    """Standard output.

    :param as_json: nothing but JSON, one value a line
    """

    def __init__(self, as_json: bool):
        self.as_json = as_json
        self.console = Console(markup=False, emoji=False, highlight=False)
        if not self.console.is_terminal:
            self.console.width = WIDE

    @property
    def live(self) -> bool:
        """Whether there is somebody for whom lines can be rewritten."""
        return self.console.is_terminal and not self.as_json

    def say(self, text: str) -> None:
        """Tell a person something."""
        if not self.as_json:
            self.console.print(text, soft_wrap=True)

    def result(self, text: str, **fields: Any) -> None:
        """Tell what has come out.

        :param fields: the same for a program
        """
        if self.as_json:
            print(json.dumps(fields), flush=True)
        else:
            self.say(text)

    def follow(self, stages: Iterable[dict[str, Any]]) -> None:
        """Show how far the making of a pair is, until it has been made."""
        if self.live:
            self._draw(stages)
            return
        for line in _lines(stages):
            self.say(line)

    def _draw(self, stages: Iterable[dict[str, Any]]) -> None:
        columns = (
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.TaskProgressColumn(),
        )
        with progress.Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task("asking the hosts", total=100)
            for stage in stages:
                bar.update(
                    task,
                    description=f"{stage['step']}/{stage['of']} {stage['stage']}",
                    completed=stage["percent"],
                )


def _lines(stages: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Return a line for each stage, and for each STEP percents of it."""
    before: tuple[str, int] | None = None
    for stage in stages:
        now = stage["stage"], stage["percent"] // STEP
        if now != before:
            yield f"{stage['step']}/{stage['of']} {stage['stage']}: {stage['percent']} %"
        before = now


def milliseconds(value: float | None) -> str:
    """Return a time for people."""
    return "-" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.1f}"
