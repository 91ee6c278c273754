# SPDX-License-Identifier: Apache-2.0
"""What is asked of a database, as it is sent."""

import contextlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa


@contextlib.contextmanager
def collected() -> Iterator[list[str]]:
    """Collect the SQL statements of what is done meanwhile, by all engines of this process."""
    found: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement != "BEGIN":  # SQLite's bracket; MySQL's driver sends none
            found.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
