# SPDX-License-Identifier: Apache-2.0
"""Standard output of colo-pair: lines and tables for people, or JSON."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from rich import progress
from rich.console import Console

#: Columns when standard output is no terminal: lines and tables are not wrapped.
WIDE = 1000
#: Percent between two plain lines of progress.
STEP = 10


class Output:
    """Standard output.

    :param as_json: print nothing but JSON, one value a line
    """

    def __init__(self, as_json: bool):
        self.as_json = as_json
        self.console = Console(markup=False, emoji=False, highlight=False)
        if not self.console.is_terminal:
            self.console.width = WIDE

    @property
    def live(self) -> bool:
        """Whether lines can be rewritten, as on a terminal."""
        return self.console.is_terminal and not self.as_json

    def message(self, text: str) -> None:
        """Print a line for people; nothing with --json."""
        if not self.as_json:
            self.console.print(text, soft_wrap=True)

    def result(self, text: str, **fields: Any) -> None:
        """Print the result of a command.

        :param fields: the same for programs, printed with --json instead
        """
        if self.as_json:
            print(json.dumps(fields), flush=True)
        else:
            self.message(text)

    def show_progress(self, stages: Iterable[dict[str, Any]]) -> None:
        """Show the progress of a protect until it ends."""
        if self.live:
            self._draw(stages)
            return
        for line in _lines(stages):
            self.message(line)

    def _draw(self, stages: Iterable[dict[str, Any]]) -> None:
        columns = (
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.TaskProgressColumn(),
        )
        with progress.Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task("polling the hosts", total=100)
            for stage in stages:
                bar.update(
                    task,
                    description=f"{stage['step']}/{stage['of']} {stage['stage']}",
                    completed=stage["percent"],
                )


def _lines(stages: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield a line for each stage, and for each STEP percent of it."""
    before: tuple[str, int] | None = None
    for stage in stages:
        now = stage["stage"], stage["percent"] // STEP
        if now != before:
            yield f"{stage['step']}/{stage['of']} {stage['stage']}: {stage['percent']} %"
        before = now


def milliseconds(value: float | None) -> str:
    """Format a duration in milliseconds; None as a dash."""
    return "-" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.1f}"
