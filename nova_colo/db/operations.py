# SPDX-License-Identifier: Apache-2.0
"""Queries on operations: workflows and their progress."""

import datetime
from typing import Any

import sqlalchemy as sa
from oslo_utils import timeutils, uuidutils
from sqlalchemy import orm

from nova_colo.db import pairs
from nova_colo.db import purge as purging
from nova_colo.db.models import Operation, Pair
from nova_colo.pair.arbitration import Observation
from nova_colo.pair.operation import COPIES, COPYING
from nova_colo.pair.reasons import Reason

RUNNING = "running"
DONE = "done"
FAILED = "failed"


def start(
    session: orm.Session,
    row: Pair,
    kind: str,
    params: dict[str, Any],
    requested_by: str | None = None,
    request_id: str | None = None,
    **pair_values: Any,
) -> str | None:
    """Record a new operation and claim its pair for it.

    :param row: the pair as read when the decision was made
    :param pair_values: columns of the pair to set with the claim
    :returns: the operation's id; None when another operation has the pair, or its epoch, state or secondary
        has changed since
    """
    operation_id = uuidutils.generate_uuid()
    if not pairs.claim(session, row, operation_id, **pair_values):
        return None
    _add(session, operation_id, row.server_id, kind, params, requested_by, request_id)
    session.flush()
    return operation_id


def running(session: orm.Session) -> list[Operation]:
    """Return all unfinished operations, oldest first."""
    return list(
        session.scalars(
            sa.select(Operation).where(Operation.status == RUNNING).order_by(Operation.created_at)
        )
    )


def get(session: orm.Session, operation_id: str) -> Operation | None:
    """Return an operation."""
    return session.get(Operation, operation_id)


def copies_within_hour(session: orm.Session, server_id: str) -> int:
    """Return how many times within the last hour a secondary of a server was created, or moved."""
    query = sa.select(sa.func.count()).where(
        Operation.server_id == server_id,
        Operation.kind.in_(COPIES),
        Operation.step >= COPYING,
        Operation.created_at > timeutils.utcnow() - datetime.timedelta(hours=1),
    )
    return session.scalars(query).one()


def newest(session: orm.Session, server_id: str) -> Operation | None:
    """Return a server's last operation."""
    mine = sa.select(Operation).where(Operation.server_id == server_id)
    return session.scalar(mine.order_by(Operation.created_at.desc()).limit(1))


def next_epoch(session: orm.Session, server_id: str) -> int:
    """Return an epoch that is newer than those of a server's earlier pairs, as far as they are known."""
    query = sa.select(Operation.params).where(Operation.server_id == server_id)
    # an operation that began in one epoch may have ended in the next
    return max((params.get("epoch", 0) + 2 for params in session.scalars(query)), default=0)


def advance(session: orm.Session, operation_id: str, step: int, params: dict[str, Any]) -> bool:
    """Record that the steps before ``step`` are done, and their data.

    :returns: False when it has finished or has reached that step already: another engine continues it
    """
    operation = _lock_running(session, operation_id)
    if operation is None or operation.step >= step:
        return False
    operation.update({"step": step, "params": params})
    return True


def finish(
    session: orm.Session,
    operation_id: str,
    error: Reason | None,
    replicas: tuple[Observation, Observation] | None = None,
    **pair_values: Any,
) -> bool:
    """Record the end of an operation and release its pair, unless it has finished already.

    :param error: the first error, or None for success
    :param replicas: observations of both replicas' hosts, which the health of a protected pair depends on
    :param pair_values: columns of the pair to set with the release
    :returns: False when it had finished already
    """
    return _end(session, operation_id, error, replicas, operation_id=None, **pair_values)


def hand_over(
    session: orm.Session, operation_id: str, kind: str, params: dict[str, Any], **pair_values: Any
) -> str | None:
    """Record the success of an operation and start the following one, without releasing the pair in between.

    :param pair_values: columns of the pair to set at the same time
    :returns: the new operation's id, or None when the first had finished already
    """
    before = get(session, operation_id)
    following = uuidutils.generate_uuid()
    if before is None or not _end(session, operation_id, None, None, operation_id=following, **pair_values):
        return None
    _add(session, following, before.server_id, kind, params, before.requested_by, before.request_id)
    session.flush()
    return following


def _end(
    session: orm.Session,
    ended_id: str,
    error: Reason | None,
    replicas: tuple[Observation, Observation] | None,
    **pair_values: Any,
) -> bool:
    operation = _lock_running(session, ended_id)
    if operation is None:
        return False
    operation.update({"status": FAILED if error else DONE, "error": error, "finished_at": timeutils.utcnow()})
    pairs.update_claimed(session, operation.server_id, ended_id, replicas=replicas, **pair_values)
    return True


def _lock_running(session: orm.Session, operation_id: str) -> Operation | None:
    """Lock an operation against changes and return it; None when it has finished."""
    # by its key alone: a condition on the status may lock a range of the status index against inserts
    operation = session.get(Operation, operation_id, populate_existing=True, with_for_update=True)
    return operation if operation is not None and operation.status == RUNNING else None


def _add(
    session: orm.Session,
    operation_id: str,
    server_id: str,
    kind: str,
    params: dict[str, Any],
    requested_by: str | None,
    request_id: str | None,
) -> None:
    values = {"id": operation_id, "server_id": server_id, "kind": kind, "status": RUNNING, "params": params}
    session.add(Operation(**values, requested_by=requested_by, request_id=request_id))


def purge(session: orm.Session, before: datetime.datetime) -> bool:
    """Delete a batch of operations that ended before a time. Return whether there may be more."""
    return purging.purge(session, Operation, Operation.finished_at < before)
