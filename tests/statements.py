# SPDX-License-Identifier: Apache-2.0
"""What is asked of a database, as it is sent."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa


@contextlib.contextmanager
def collected(database: pathlib.Path | None = None) -> Iterator[list[str]]:
    """Collect the SQL statements of what is done meanwhile.

    :param database: the SQLite file they are sent to; None for those to any database
    """
    found: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        wanted = database is None or connection.engine.url.database == str(database)
        if wanted and statement != "BEGIN":  # SQLite's bracket; MySQL's driver sends none
            found.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
