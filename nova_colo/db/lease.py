# SPDX-License-Identifier: Apache-2.0
"""The lease that makes one engine the active one."""

import datetime

import sqlalchemy as sa
from oslo_db import exception as db_exception

from nova_colo.db.models import Lease
from nova_colo.db.session import Database

_ROW = 1


def acquire(database: Database, holder: str, now: datetime.datetime, seconds: float) -> bool:
    """Take or renew the lease.

    :param holder: name of the engine process
    :param now: this engine's time, UTC; the clocks of all engines must agree to well within ``seconds``
    :returns: whether holder has the lease
    """
    expires = now + datetime.timedelta(seconds=seconds)
    free = sa.or_(Lease.holder == holder, Lease.expires_at < now)
    with database.writer() as session:
        query = sa.update(Lease).where(Lease.id == _ROW, free).values(holder=holder, expires_at=expires)
        if session.execute(query).rowcount == 1:
            return True
        if session.get(Lease, _ROW) is not None:
            return False
    return _insert(database, holder, expires)


def _insert(database: Database, holder: str, expires: datetime.datetime) -> bool:
    """Insert the row. Return False when another engine was faster."""
    try:
        with database.writer() as session:
            session.add(Lease(id=_ROW, holder=holder, expires_at=expires))
    except db_exception.DBDuplicateEntry:
        return False
    return True


def release(database: Database, holder: str) -> None:
    """Release the lease, so that another engine need not wait until it expires."""
    with database.writer() as session:
        session.execute(sa.delete(Lease).where(Lease.id == _ROW, Lease.holder == holder))
