# SPDX-License-Identifier: Apache-2.0
"""Queries on pairs. Each takes the session of a transaction; none commits.

Who changes a pair's state or secondary sets these columns only: those that follow from them, such as the
health, are set at the same time (:func:`nova_colo.pair.transition.transition`).
"""

import operator
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from nova_colo.db.models import Pair
from nova_colo.pair import model
from nova_colo.pair.arbitration import Observation
from nova_colo.pair.transition import determines_others, transition


def to_model(row: Pair) -> model.Pair:
    """Return a row as the Pair of the model."""
    return model.Pair(
        server_id=row.server_id,
        state=model.State(row.state),
        epoch=row.epoch,
        primary_host=row.primary_host,
        secondary_host=row.secondary_host,
        nova_host=row.nova_host,
        server_status=row.server_status,
        wanted=model.Wanted(row.wanted),
        auto_reprotect=row.auto_reprotect,
        reserved_host=row.reserved_host,
        return_to=row.return_to,
    )


def get(session: orm.Session, server_id: str) -> Pair | None:
    """Return the pair of a server, or None when the server is no FT server."""
    return session.get(Pair, server_id)


def get_by_secondary_id(session: orm.Session, secondary_id: str) -> Pair | None:
    """Return the pair whose secondary's reservation has this id."""
    return session.scalars(sa.select(Pair).where(Pair.secondary_id == secondary_id)).one_or_none()


def all_pairs(session: orm.Session, project_id: str | None = None) -> list[Pair]:
    """Return the pairs of one project, or of all, by name."""
    query = sa.select(Pair).order_by(Pair.name, Pair.server_id)
    if project_id is not None:
        query = query.where(Pair.project_id == project_id)
    return list(session.scalars(query))


def statuses(session: orm.Session, server_ids: Collection[str]) -> dict[str, tuple[str, str | None]]:
    """Return the state and secondary host of each FT server among the given servers, in one statement."""
    query = sa.select(Pair.server_id, Pair.state, Pair.secondary_host).where(Pair.server_id.in_(server_ids))
    return {server_id: (state, secondary) for server_id, state, secondary in session.execute(query)}


def primaries(session: orm.Session) -> list[tuple[str, str]]:
    """Return the id of each FT server and the host of its primary."""
    return [
        (server_id, host) for server_id, host in session.execute(sa.select(Pair.server_id, Pair.primary_host))
    ]


def update_many(session: orm.Session, rows: Sequence[dict[str, Any]]) -> None:
    """Set the same columns of several pairs; deleted pairs are skipped.

    :param rows: server_id and the columns to set
    """
    if rows:
        names = [name for name in rows[0] if name != "server_id"]
        values = {name: sa.bindparam(f"new_{name}", type_=Pair.__table__.c[name].type) for name in names}
        query = (
            sa.update(Pair.__table__).where(Pair.__table__.c.server_id == sa.bindparam("key")).values(values)
        )
        # always in the same order, against deadlocks
        ordered = sorted(rows, key=operator.itemgetter("server_id"))
        session.execute(
            query,
            [{"key": row["server_id"]} | {f"new_{name}": row[name] for name in names} for row in ordered],
        )


def add(session: orm.Session, **values: Any) -> None:
    """Insert a pair."""
    session.add(Pair(**values))


def remove(session: orm.Session, server_id: str) -> None:
    """Delete a pair; no error when it does not exist."""
    session.execute(sa.delete(Pair).where(Pair.server_id == server_id))


def update(session: orm.Session, server_id: str, **values: Any) -> bool:
    """Set columns of a pair. Return whether it exists."""
    result = session.execute(sa.update(Pair).where(Pair.server_id == server_id).values(**values))
    return result.rowcount == 1


def move_build(session: orm.Session, server_id: str, host: str) -> bool:
    """Set the host of a server that is being built.

    :returns: False when the server is not being built, as far as its pair knows
    """
    query = sa.update(Pair).where(
        Pair.server_id == server_id,
        Pair.server_status == "BUILD",
        Pair.epoch == 0,
        Pair.secondary_host.is_(None),
        Pair.operation_id.is_(None),
    )
    return session.execute(query.values(primary_host=host, nova_host=host)).rowcount == 1


def update_if_unchanged(session: orm.Session, row: Pair, **values: Any) -> bool:
    """Set columns of a pair, unless an operation has it or the inputs of decisions have changed.

    :param row: the pair as read when the decision was made
    """
    same = (Pair.server_id, Pair.epoch, Pair.nova_host, Pair.state, Pair.wanted)
    query = sa.update(Pair).where(
        *(column == getattr(row, column.key) for column in same), Pair.operation_id.is_(None)
    )
    return session.execute(query.values(**transition(to_model(row), values))).rowcount == 1


def update_if_current(session: orm.Session, row: Pair, **values: Any) -> bool:
    """Set columns of a pair, unless its epoch, state or secondary has changed since it was read.

    This holds even if an operation has the pair.
    """
    query = sa.update(Pair).where(*_is_current(row))
    return session.execute(query.values(**transition(to_model(row), values))).rowcount == 1


def update_claimed(
    session: orm.Session,
    server_id: str,
    operation_id: str,
    /,
    *conditions: sa.ColumnElement[bool],
    replicas: tuple[Observation, Observation] | None = None,
    **values: Any,
) -> bool:
    """Set columns of a pair, if the operation has it and further conditions hold.

    :param replicas: observations of both replicas' hosts, which the health of a protected pair depends on
    """
    query = sa.update(Pair).where(Pair.server_id == server_id, Pair.operation_id == operation_id, *conditions)
    if determines_others(values):
        row = get(session, server_id)
        if row is None:
            return False
        values = transition(to_model(row), values, replicas)
    return session.execute(query.values(**values)).rowcount == 1


def grant(session: orm.Session, server_id: str, epoch: int, operation_id: str, **values: Any) -> bool:
    """Grant the right to run unprotected: compare-and-swap the epoch to epoch + 1.

    :param values: other columns to set in the same statement
    :returns: False when that epoch was granted before, or the operation does not have the pair any more
    """
    return update_claimed(session, server_id, operation_id, Pair.epoch == epoch, epoch=epoch + 1, **values)


def claim(session: orm.Session, row: Pair, operation_id: str, **values: Any) -> bool:
    """Claim a pair for an operation.

    :param row: the pair as read when the decision was made
    :param values: other columns to set in the same statement
    :returns: False when another operation has it, or its epoch, state or secondary has changed since
    """
    query = sa.update(Pair).where(*_is_current(row), Pair.operation_id.is_(None))
    completed = transition(to_model(row), values)
    return session.execute(query.values(operation_id=operation_id, **completed)).rowcount == 1


def _is_current(row: Pair) -> tuple[sa.ColumnElement[bool], ...]:
    same_secondary = Pair.secondary_host.is_not_distinct_from(row.secondary_host)
    return (Pair.server_id == row.server_id, Pair.epoch == row.epoch, Pair.state == row.state, same_secondary)
