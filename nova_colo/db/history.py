# SPDX-License-Identifier: Apache-2.0
"""Queries on checkpoint history: counts and pauses in buckets, which are merged into coarser ones later."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from nova_colo.db.models import Bucket

#: Width in seconds of the buckets that agents report, and of those into which older ones are merged.
FINE, COARSE = 10, 300
#: The columns whose values add up.
SUMS = ("mismatch", "periodic", "forced", "pause_sum_ms")


def store(session: orm.Session, buckets: Sequence[dict[str, Any]]) -> None:
    """Insert the given buckets, except those that exist already.

    :param buckets: columns of Bucket
    """
    if not buckets:
        return
    starts = [bucket["start"] for bucket in buckets]
    servers = {bucket["server_id"] for bucket in buckets}
    query = sa.select(Bucket.server_id, Bucket.start).where(
        Bucket.server_id.in_(servers), Bucket.start.between(min(starts), max(starts)), Bucket.seconds == FINE
    )
    existing = {tuple(row) for row in session.execute(query)}
    new = [bucket for bucket in buckets if (bucket["server_id"], bucket["start"]) not in existing]
    if new:
        session.execute(sa.insert(Bucket), new)


def buckets(session: orm.Session, server_id: str, since: int, until: int) -> list[Bucket]:
    """Return a server's buckets that begin in an interval, oldest first.

    Intervals without checkpoints have none.

    :param since: seconds since the epoch, inclusive
    :param until: seconds since the epoch, exclusive
    """
    inside = (Bucket.server_id == server_id, Bucket.start >= since, Bucket.start < until)
    return list(session.scalars(sa.select(Bucket).where(*inside).order_by(Bucket.start)))


def merge(session: orm.Session, before: int) -> None:
    """Merge fine buckets that begin before a time into coarse ones.

    :param before: seconds since the epoch, a multiple of COARSE and longer ago than agents keep buckets
    """
    start = Bucket.start - Bucket.start % COARSE
    fine = (Bucket.seconds == FINE, Bucket.start < before)
    sums = [sa.func.sum(getattr(Bucket, name)).label(name) for name in SUMS]
    figures = [*sums, sa.func.max(Bucket.pause_max_ms).label("pause_max_ms")]
    merged = sa.select(Bucket.server_id, start.label("coarse_start"), sa.literal(COARSE), *figures)
    merged = merged.where(*fine).group_by(Bucket.server_id, start)
    coarse = orm.aliased(Bucket)
    same = (coarse.server_id == Bucket.server_id, coarse.start == start, coarse.seconds == COARSE)
    for late in session.execute(merged.join(coarse, sa.and_(*same))).all():
        _add(session, late)
    names = ["server_id", "start", "seconds", *SUMS, "pause_max_ms"]
    session.execute(sa.insert(Bucket).from_select(names, merged))
    session.execute(sa.delete(Bucket).where(*fine))


def _add(session: orm.Session, late: sa.Row[Any]) -> None:
    """Add fine buckets to the coarse one that exists already, and delete them.

    They have arrived too late: a clock of an agent's or an engine's host was wrong.
    """
    server = Bucket.server_id == late.server_id
    longest = sa.case((Bucket.pause_max_ms < late.pause_max_ms, late.pause_max_ms), else_=Bucket.pause_max_ms)
    values = {name: getattr(Bucket, name) + getattr(late, name) for name in SUMS} | {"pause_max_ms": longest}
    coarse = (server, Bucket.start == late.coarse_start, Bucket.seconds == COARSE)
    session.execute(sa.update(Bucket).where(*coarse).values(values))
    inside = Bucket.start.between(late.coarse_start, late.coarse_start + COARSE - 1)
    session.execute(sa.delete(Bucket).where(server, inside, Bucket.seconds == FINE))


def purge(session: orm.Session, before: int) -> None:
    """Delete the buckets that begin before a time, in seconds since the epoch."""
    # the condition on both widths makes it use an index; otherwise it would lock the table against inserts
    session.execute(sa.delete(Bucket).where(Bucket.seconds.in_((FINE, COARSE)), Bucket.start < before))
