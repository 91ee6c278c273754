# SPDX-License-Identifier: Apache-2.0
"""Lists of pairs: filters, sorting, pages and the summary above them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from oslo_db.sqlalchemy import utils
from sqlalchemy import orm

from nova_colo.db.models import Pair
from nova_colo.pair.host_selection import RAM_FACTOR
from nova_colo.pair.model import Health, State

#: The worst first.
STATES_BY_SEVERITY = (
    State.ERROR,
    State.DEGRADED,
    State.UNPROTECTED,
    State.FAILING_OVER,
    State.SUSPENDED,
    State.STARTING,
    State.PROTECTED,
)
HEALTHS_BY_SEVERITY = (Health.CRITICAL, Health.WARNING, Health.UNKNOWN, Health.OK)


def _severity(column: Any, worst_first: Sequence[str]) -> Any:
    ranks = {str(value): rank for rank, value in enumerate(worst_first)}
    return orm.column_property(sa.case(ranks, value=column, else_=len(ranks)), deferred=True)


def _thousandths(column: Any) -> Any:
    """Return a float as an integer: MySQL's are not equal to what they are shown as, so that a page could not begin after one."""
    return orm.column_property(sa.cast(column * 1000, sa.BigInteger), deferred=True)


def _is_missing(column: Any) -> Any:
    """Return 1 where there is no value: paginate_query() goes wrong where it has to begin after one that is NULL."""
    return orm.column_property(sa.case((column.is_(None), 1), else_=0), deferred=True)


# What paginate_query() can sort by are attributes of the model; these are read by nobody else.
Pair.sort_state = _severity(Pair.state, STATES_BY_SEVERITY)
Pair.sort_health = _severity(Pair.health, HEALTHS_BY_SEVERITY)
Pair.sort_rate = _thousandths(Pair.checkpoint_rate)
Pair.sort_pause = _thousandths(Pair.pause_p99_ms)
Pair.sort_no_rate = _is_missing(Pair.checkpoint_rate)
Pair.sort_no_pause = _is_missing(Pair.pause_p99_ms)
Pair.sort_no_protection = _is_missing(Pair.protected_since)
Pair.sort_no_secondary = _is_missing(Pair.secondary_host)

#: sort key on the wire -> attributes to sort by in the asked direction
_SORT_BY = {
    "name": ("name",),
    "state": ("sort_state", "sort_health"),
    "health": ("sort_health", "sort_state"),
    "created_at": ("created_at",),
    "failovers": ("failovers",),
    "protected_since": ("protected_since",),
    "checkpoint_rate": ("sort_rate",),
    "pause_p99_ms": ("sort_pause",),
    "project_id": ("project_id",),
    "primary_host": ("primary_host",),
    "secondary_host": ("secondary_host",),
}
#: sort key -> the attribute that puts those without a value last, in either direction
_MISSING = {
    "protected_since": "sort_no_protection",
    "checkpoint_rate": "sort_no_rate",
    "pause_p99_ms": "sort_no_pause",
    "secondary_host": "sort_no_secondary",
}

# Where a secondary has its room or has it kept, and how much that is.
_ROOM_ON = sa.func.coalesce(Pair.secondary_host, Pair.reserved_host)
_ROOM_MB = Pair.memory_mb * RAM_FACTOR

SORT_KEYS = tuple(_SORT_BY)
#: Those that tell something about hosts.
HOST_SORT_KEYS = frozenset({"primary_host", "secondary_host"})


class MarkerNotFoundError(LookupError):
    """The list has no such pair to begin after."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which pairs a list is about. None or nothing: any.

    :param host: of the primary or of the secondary
    :param name: part of the name, in capital letters or small ones
    """

    project_id: str | None = None
    host: str | None = None
    name: str | None = None
    states: Sequence[str] = ()
    healths: Sequence[str] = ()

    def scope(self) -> list[Any]:
        """Return what holds for all that the list is about, whatever their state and health."""
        conditions: list[Any] = []
        if self.project_id is not None:
            conditions.append(Pair.project_id == self.project_id)
        if self.host is not None:
            conditions.append(sa.or_(Pair.primary_host == self.host, Pair.secondary_host == self.host))
        if self.name:
            conditions.append(Pair.name.icontains(self.name, autoescape=True))
        return conditions

    def conditions(self) -> list[Any]:
        """Return what holds for those that are listed."""
        conditions = self.scope()
        if self.states:
            conditions.append(Pair.state.in_(self.states))
        if self.healths:
            conditions.append(Pair.health.in_(self.healths))
        return conditions


def page(
    session: orm.Session,
    selection: Selection,
    limit: int,
    marker: str | None = None,
    sort_key: str = "name",
    descending: bool = False,
) -> list[Pair]:
    """Return one page of a list.

    :param limit: at most so many
    :param marker: id of the server that the page begins after
    :param sort_key: one of SORT_KEYS
    :raises MarkerNotFoundError: when the marker is none of the pairs that the list is about
    """
    direction = "desc" if descending else "asc"
    keys = [(name, direction) for name in _SORT_BY[sort_key]]
    if sort_key in _MISSING:
        keys.insert(0, (_MISSING[sort_key], "asc"))
    if sort_key != "name":
        keys.append(("name", "asc"))
    keys.append(("server_id", "asc"))
    names = [name for name, _direction in keys]
    query = utils.paginate_query(
        sa.select(Pair).where(*selection.conditions()),
        Pair,
        limit,
        names,
        marker=_values_at(session, selection, marker, names) if marker is not None else None,
        sort_dirs=[key_direction for _name, key_direction in keys],
    )
    return list(session.scalars(query))


def _values_at(session: orm.Session, selection: Selection, marker: str, names: Sequence[str]) -> Any:
    """Return what the list is sorted by at its marker; it may have left the list by its state since."""
    columns = [getattr(Pair, name).label(name) for name in names]
    found = session.execute(
        sa.select(*columns).where(Pair.server_id == marker, *selection.scope())
    ).one_or_none()
    if found is None:
        raise MarkerNotFoundError(marker)
    return found


@dataclasses.dataclass(frozen=True)
class Count:
    """The pairs of one state and health.

    :ivar pairs: how many there are
    :ivar secondaries: how many of them have a secondary
    :ivar memory_mb: what is taken or kept for secondaries on hosts, in MiB
    """

    state: str
    health: str
    pairs: int
    secondaries: int
    memory_mb: int


def counts(session: orm.Session, selection: Selection) -> list[Count]:
    """Count the pairs that a list is about, whatever state and health it asks for."""
    room = sa.case((_ROOM_ON.is_not(None), _ROOM_MB), else_=0)
    numbers = sa.func.count(), sa.func.count(Pair.secondary_host), sa.func.sum(room)
    query = (
        sa.select(Pair.state, Pair.health, *numbers)
        .where(*selection.scope())
        .group_by(Pair.state, Pair.health)
    )
    return [
        Count(state, health, pairs, secondaries, int(mb))
        for state, health, pairs, secondaries, mb in session.execute(query)
    ]


def load_by_host(session: orm.Session) -> tuple[dict[str, int], dict[str, tuple[int, int]]]:
    """Return what hosts carry: host -> number of primaries, and host -> number of secondaries and memory for them in MiB.

    Room that is kept for a secondary that is not there counts as memory.
    """
    primaries = sa.select(Pair.primary_host, sa.func.count()).group_by(Pair.primary_host)
    rooms = sa.select(_ROOM_ON, sa.func.count(Pair.secondary_host), sa.func.sum(_ROOM_MB))
    rooms = rooms.where(_ROOM_ON.is_not(None)).group_by(_ROOM_ON)
    by_primary = {row[0]: row[1] for row in session.execute(primaries)}
    return by_primary, {host: (number, int(memory)) for host, number, memory in session.execute(rooms)}
