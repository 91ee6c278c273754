# SPDX-License-Identifier: Apache-2.0
"""Queries on the history of secondaries, the basis of usage."""

import datetime

import sqlalchemy as sa
from sqlalchemy import orm

from nova_colo.db import purge as purging
from nova_colo.db.models import Pair, Secondary
from nova_colo.pair.host_selection import RAM_FACTOR


def record(session: orm.Session, now: datetime.datetime) -> None:
    """Open an entry for each new secondary, and close the entries of those that have ended.

    Must be called every few seconds: the recorded end of a secondary is as exact as that interval.
    """
    current = {
        row.server_id: row
        for row in session.scalars(
            sa.select(Pair).where(Pair.secondary_host.is_not(None), Pair.secondary_since.is_not(None))
        )
    }
    for entry in session.scalars(sa.select(Secondary).where(Secondary.ended_at.is_(None))):
        row = current.get(entry.server_id)
        if row is not None and (row.secondary_host, row.secondary_since) == (entry.host, entry.started_at):
            del current[entry.server_id]
        else:
            entry.ended_at = now
    for row in current.values():
        session.add(_entry(row))


def _entry(row: Pair) -> Secondary:
    return Secondary(
        server_id=row.server_id,
        secondary_id=row.secondary_id,
        project_id=row.project_id,
        host=row.secondary_host,
        vcpus=row.vcpus,
        memory_mb=RAM_FACTOR * row.memory_mb,
        disk_gb=row.disk_gb,
        started_at=row.secondary_since,
    )


def between(
    session: orm.Session, project_id: str | None, start: datetime.datetime, end: datetime.datetime
) -> list[Secondary]:
    """Return the secondaries that existed in an interval, of one project or of all."""
    inside = (Secondary.started_at < end, sa.or_(Secondary.ended_at.is_(None), Secondary.ended_at > start))
    query = sa.select(Secondary).where(*inside).order_by(Secondary.started_at)
    if project_id is not None:
        query = query.where(Secondary.project_id == project_id)
    return list(session.scalars(query))


def purge(session: orm.Session, before: datetime.datetime) -> bool:
    """Delete a batch of the entries that ended before a time. Return whether there may be more."""
    return purging.purge(session, Secondary, Secondary.ended_at < before)
