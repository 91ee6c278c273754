# SPDX-License-Identifier: Apache-2.0
"""How old rows are deleted."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm


def purge(session: orm.Session, model: Any, condition: sa.ColumnElement[bool], limit: int = 10000) -> None:
    """Delete rows of a table whose key is ``id``, some at once: what is left is deleted the next time.

    Each by its key: a DELETE with a condition may lock the whole table, and those who write to it then wait in a circle.
    """
    old = session.scalars(sa.select(model.id).where(condition).order_by(model.id).limit(limit)).all()
    if old:
        session.execute(
            sa.delete(model.__table__).where(model.__table__.c.id == sa.bindparam("key")),
            [{"key": key} for key in old],
        )
