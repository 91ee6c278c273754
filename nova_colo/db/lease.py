# SPDX-License-Identifier: Apache-2.0
"""The lease that makes one engine the active one."""

import datetime
import math
from collections.abc import Callable

import sqlalchemy as sa
from oslo_db import exception as db_exception
from oslo_utils import timeutils
from sqlalchemy import orm

from nova_colo.db.models import Lease
from nova_colo.db.session import Database

_ROW = 1


class Candidate:
    """An engine that has the lease or wants it.

    No clock is compared with another: each candidate times, by its own monotonic clock, how long it has seen
    the holder not renew the lease, as the leader election of Kubernetes' client-go does. Time in which it did
    not poll itself, stalled or without the database, does not count.

    :param name: name of the engine process
    :param seconds: a lease that has not been renewed for so long is free, and so is that of an engine that
        for so long has heard fewer hosts than this one: its connection to the broker may be broken
    :param clock: monotonic, in seconds
    """

    def __init__(self, database: Database, name: str, seconds: float, clock: Callable[[], float]):
        self._database = database
        self._name = name
        self._seconds = seconds
        self._clock = clock
        self._seen: tuple[str, object] | None = None
        self._renewed_at = self._equal_at = self._polled_at = -math.inf

    def acquire(self, heard: int) -> bool:
        """Take or renew the lease.

        :param heard: number of hosts whose heartbeats this engine receives
        :returns: whether it has the lease
        """
        # the time before the database is asked: its answer may be late
        now = self._clock()
        with self._database.writer() as session:
            if self._update(session, heard, Lease.holder == self._name):
                return True
            lease = session.get(Lease, _ROW)
            if lease is not None:
                return self._may_take(lease, heard, now) and self._update(
                    session, heard, Lease.holder == lease.holder, Lease.expires_at == lease.expires_at
                )
        return self._insert(heard)

    def release(self) -> None:
        """Release the lease, so that another engine need not wait until it is free."""
        with self._database.writer() as session:
            session.execute(sa.delete(Lease).where(Lease.id == _ROW, Lease.holder == self._name))

    def _may_take(self, lease: Lease, heard: int, now: float) -> bool:
        """Return whether another engine's lease is free."""
        seen = (lease.holder, lease.expires_at)
        unknown = now - self._polled_at >= self._seconds
        if unknown or seen != self._seen:
            self._renewed_at = now
        if unknown or lease.heard is None or heard <= lease.heard:
            self._equal_at = now
        self._seen, self._polled_at = seen, now
        return now - min(self._renewed_at, self._equal_at) >= self._seconds

    def _update(self, session: orm.Session, heard: int, *unchanged: sa.ColumnElement[bool]) -> bool:
        query = sa.update(Lease).where(Lease.id == _ROW, *unchanged).values(self._values(heard))
        return session.execute(query).rowcount == 1

    def _insert(self, heard: int) -> bool:
        """Insert the row. Return False when another engine was faster."""
        try:
            with self._database.writer() as session:
                session.add(Lease(id=_ROW, **self._values(heard)))
        except db_exception.DBDuplicateEntry:
            return False
        return True

    def _values(self, heard: int) -> dict[str, object]:
        # others only see that it has changed; an engine of an earlier release compares it with its clock
        expires_at = timeutils.utcnow() + datetime.timedelta(seconds=self._seconds)
        return {"holder": self._name, "expires_at": expires_at, "heard": heard}
