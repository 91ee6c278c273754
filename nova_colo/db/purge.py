# SPDX-License-Identifier: Apache-2.0
"""Delete old rows."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

#: Number of rows that are deleted in one transaction.
BATCH = 10000


def purge(session: orm.Session, model: Any, condition: sa.ColumnElement[bool]) -> bool:
    """Delete a batch of rows of a table with the key ``id``. Return whether there may be more.

    Each row is deleted by its key: a DELETE with a condition may lock the whole table and cause deadlocks.
    """
    old = session.scalars(sa.select(model.id).where(condition).order_by(model.id).limit(BATCH)).all()
    if old:
        session.execute(
            sa.delete(model.__table__).where(model.__table__.c.id == sa.bindparam("key")),
            [{"key": key} for key in old],
        )
    return len(old) == BATCH
