# SPDX-License-Identifier: Apache-2.0
"""Queries on the events of FT servers."""

import datetime

import sqlalchemy as sa
from sqlalchemy import orm

from nova_colo.db import purge as purging
from nova_colo.db.models import Event
from nova_colo.pair.reasons import Reason, Severity


def add(
    session: orm.Session,
    server_id: str,
    kind: str,
    reason: Reason,
    level: Severity | None = None,
    request_id: str | None = None,
    user_id: str | None = None,
) -> None:
    """Record an event.

    :param kind: a keyword for programs, e.g. ``failover``
    :param level: the level, if other than the severity of the reason
    :param request_id: the id of the API request that caused it
    :param user_id: the id of the user who sent that request
    """
    values = {"server_id": server_id, "kind": kind, "level": level or reason.severity, "reason": reason}
    session.add(Event(**values, request_id=request_id, user_id=user_id))


def newest(session: orm.Session, server_id: str, limit: int, before_id: int | None = None) -> list[Event]:
    """Return the events of a server, newest first.

    :param before_id: only events older than this one
    """
    query = sa.select(Event).where(Event.server_id == server_id).order_by(Event.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(Event.id < before_id)
    return list(session.scalars(query))


def purge(session: orm.Session, before: datetime.datetime) -> bool:
    """Delete a batch of events older than a time. Return whether there may be more."""
    return purging.purge(session, Event, Event.at < before)
