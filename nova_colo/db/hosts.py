# SPDX-License-Identifier: Apache-2.0
"""Queries on hosts with an agent."""

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from nova_colo.db.models import Host


def all_hosts(session: orm.Session) -> list[Host]:
    """Return all hosts whose agent has ever sent a heartbeat, by name."""
    return list(session.scalars(sa.select(Host).order_by(Host.host)))


def fenced(session: orm.Session) -> list[str]:
    """Return the names of the hosts whose nova-compute the engine has forced down."""
    return list(session.scalars(sa.select(Host.host).where(Host.fenced_at.is_not(None)).order_by(Host.host)))


def put(session: orm.Session, host: str, **values: Any) -> None:
    """Insert a host or set its columns."""
    row = session.get(Host, host)
    if row is None:
        row = Host(host=host)
        session.add(row)
    row.update(values)


def fence(session: orm.Session, host: str, at: datetime.datetime | None) -> None:
    """Record that the engine has forced a host's nova-compute down, or with None that this was lifted."""
    if at is not None:
        query = sa.update(Host).where(Host.host == host, Host.fenced_at.is_(None))
    else:
        query = sa.update(Host).where(Host.host == host)
    session.execute(query.values(fenced_at=at))
