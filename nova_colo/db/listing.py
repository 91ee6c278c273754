# SPDX-License-Identifier: Apache-2.0
"""Queries for lists of pairs: filters, sorting, pages and the summary."""

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
    """Return a float in thousandths, as an integer.

    A page could not begin after a float: MySQL's are not equal to their decimal representation.
    """
    return orm.column_property(sa.cast(column * 1000, sa.BigInteger), deferred=True)


def _is_missing(column: Any) -> Any:
    """Return 1 for NULL and 0 else: paginate_query() cannot begin a page after a NULL."""
    return orm.column_property(sa.case((column.is_(None), 1), else_=0), deferred=True)


# paginate_query() sorts by attributes of the model only; these have no other use.
Pair.sort_state = _severity(Pair.state, STATES_BY_SEVERITY)
Pair.sort_health = _severity(Pair.health, HEALTHS_BY_SEVERITY)
Pair.sort_rate = _thousandths(Pair.checkpoint_rate)
Pair.sort_pause = _thousandths(Pair.pause_p99_ms)
Pair.sort_no_rate = _is_missing(Pair.checkpoint_rate)
Pair.sort_no_pause = _is_missing(Pair.pause_p99_ms)
Pair.sort_no_protection = _is_missing(Pair.protected_since)
Pair.sort_no_secondary = _is_missing(Pair.secondary_host)

#: sort key of the API -> attributes to sort by in the requested direction
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
#: sort key -> attribute that sorts pairs without a value last, in either direction
_MISSING = {
    "protected_since": "sort_no_protection",
    "checkpoint_rate": "sort_no_rate",
    "pause_p99_ms": "sort_no_pause",
    "secondary_host": "sort_no_secondary",
}

# The host on which a secondary runs or has reserved capacity, and how much.
_RESERVED_ON = sa.func.coalesce(Pair.secondary_host, Pair.reserved_host)
_RESERVED_MB = Pair.memory_mb * RAM_FACTOR

SORT_KEYS = tuple(_SORT_BY)
#: Sort keys that disclose names of hosts.
HOST_SORT_KEYS = frozenset({"primary_host", "secondary_host"})


class MarkerNotFoundError(LookupError):
    """The marker is not in the list."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """The filters of a list. None or empty: any.

    :param project_id: None for all projects
    :param host: host of the primary or of the secondary
    :param name: part of the name, case-insensitive
    """

    project_id: str | None
    host: str | None = None
    name: str | None = None
    states: Sequence[str] = ()
    healths: Sequence[str] = ()

    def scope(self) -> list[Any]:
        """Return the conditions of all filters but those of state and health."""
        conditions: list[Any] = []
        if self.project_id is not None:
            conditions.append(Pair.project_id == self.project_id)
        if self.host is not None:
            conditions.append(sa.or_(Pair.primary_host == self.host, Pair.secondary_host == self.host))
        if self.name:
            conditions.append(Pair.name.icontains(self.name, autoescape=True))
        return conditions

    def conditions(self) -> list[Any]:
        """Return the conditions of all filters."""
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

    :param limit: maximum number of pairs
    :param marker: id of the server after which the page begins
    :param sort_key: one of SORT_KEYS
    :raises MarkerNotFoundError: when the marker does not match the filters
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
    """Return the marker's values of the sort keys. Its state need not match the filters any more."""
    columns = [getattr(Pair, name).label(name) for name in names]
    values = session.execute(
        sa.select(*columns).where(Pair.server_id == marker, *selection.scope())
    ).one_or_none()
    if values is None:
        raise MarkerNotFoundError(marker)
    return values


@dataclasses.dataclass(frozen=True)
class Count:
    """The pairs of one state and health.

    :ivar pairs: number of pairs
    :ivar secondaries: number of those that have a secondary
    :ivar memory_mb: memory used by or reserved for secondaries on hosts, in MiB
    """

    state: str
    health: str
    pairs: int
    secondaries: int
    memory_mb: int


def counts(session: orm.Session, selection: Selection) -> list[Count]:
    """Count the pairs of a list by state and health; its own filters of state and health do not apply."""
    memory = sa.case((_RESERVED_ON.is_not(None), _RESERVED_MB), else_=0)
    numbers = sa.func.count(), sa.func.count(Pair.secondary_host), sa.func.sum(memory)
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
    """Return the load of hosts: host -> primaries, and host -> (secondaries, their memory in MiB).

    Capacity reserved for a secondary that does not run counts as memory.
    """
    primaries = sa.select(Pair.primary_host, sa.func.count()).group_by(Pair.primary_host)
    reserved = sa.select(_RESERVED_ON, sa.func.count(Pair.secondary_host), sa.func.sum(_RESERVED_MB))
    reserved = reserved.where(_RESERVED_ON.is_not(None)).group_by(_RESERVED_ON)
    by_primary = {row[0]: row[1] for row in session.execute(primaries)}
    return by_primary, {host: (number, int(memory)) for host, number, memory in session.execute(reserved)}
