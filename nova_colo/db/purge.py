# SPDX-License-Identifier: Apache-2.0
"""Delete old rows."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm


def purge(session: orm.Session, model: Any, condition: sa.ColumnElement[bool], limit: int = 10000) -> None:
    """Delete rows of a table with the key ``id``, at most ``limit``: the rest is deleted the next time.

    Each row is deleted by its key: a DELETE with a condition may lock the whole table and cause deadlocks.
    """
    old = session.scalars(sa.select(model.id).where(condition).order_by(model.id).limit(limit)).all()
    if old:
        session.execute(
            sa.delete(model.__table__).where(model.__table__.c.id == sa.bindparam("key")),
            [{"key": key} for key in old],
        )
