# SPDX-License-Identifier: Apache-2.0
"""Repair lost reservations and remove orphaned ones."""

import uuid

from oslo_log import log as logging

from nova_colo.db import pairs
from nova_colo.db.models import Pair
from nova_colo.engine.capacity import size_of
from nova_colo.engine.context import Context
from nova_colo.engine.isolation import isolated
from nova_colo.pair import host_selection, reasons

LOG = logging.getLogger(__name__)


class ReservationRepair:
    """Compares the reservations in Placement with those that the pairs need.

    They differ after ``nova-manage placement audit --delete``, which takes secondaries for orphans, after
    servers were deleted while no engine was active, and after an engine was killed between two steps.
    """

    def __init__(self, context: Context):
        self._context = context
        self._suspects: set[str] = set()
        self._missing: set[str] = set()

    def repair(self) -> None:
        """Check every reservation once. One that is not needed is removed at the second check in a row."""
        with self._context.database.reader() as session:
            rows = {row.secondary_id: row for row in pairs.all_pairs(session)}
        providers = self._context.nova.providers()
        held: dict[str, dict[str, dict[str, int]]] = {}
        for provider in providers.values():
            for consumer, resources in self._context.placement.allocations_on(provider).items():
                held.setdefault(consumer, {})[provider] = resources
        for consumer, row in rows.items():
            with isolated(f"the reservation of server {row.server_id}"):
                self._check(row, providers, held.get(consumer, {}))
        self._remove_orphans(
            [consumer for consumer in held if _is_ours(consumer) and not _is_needed(rows.get(consumer))]
        )

    def _check(self, row: Pair, providers: dict[str, str], held: dict[str, dict[str, int]]) -> None:
        host = _reserved_on(row)
        if host is None or host not in providers or not _is_idle(row):
            return
        if held == {providers[host]: host_selection.secondary_resources(size_of(row))}:
            self._missing.discard(row.server_id)
            return
        with self._context.database.reader() as session:
            now = pairs.get(session, row.server_id)
        if now is None or not _is_idle(now) or _reserved_on(now) != host:
            return  # the pair has changed since
        if self._context.capacity.reserve_on(now, host):
            self._missing.discard(row.server_id)
            self._context.record_event(row.server_id, "repair", reasons.RESERVATION_REPAIRED(host=host))
        elif row.server_id not in self._missing:
            self._missing.add(row.server_id)
            self._context.record_event(row.server_id, "repair", reasons.RESERVATION_LOST(host=host))

    def _remove_orphans(self, consumers: list[str]) -> None:
        confirmed = self._suspects.intersection(consumers)
        self._suspects = set(consumers) - confirmed
        for consumer in confirmed:
            with isolated(f"reservation {consumer}"):
                if not self._context.placement.is_secondary(consumer):
                    continue
                with self._context.database.reader() as session:
                    row = pairs.get_by_secondary_id(session, consumer)
                if _is_needed(row):
                    continue
                self._context.placement.release(consumer)
                LOG.warning("Removed orphaned reservation %s.", consumer)
                if row is not None:
                    self._context.record_event(row.server_id, "repair", reasons.RESERVATION_REMOVED())


def _reserved_on(row: Pair) -> str | None:
    return row.secondary_host or row.reserved_host


def _is_idle(row: Pair) -> bool:
    return row.operation_id is None and row.nova_host == row.primary_host


def _is_needed(row: Pair | None) -> bool:
    return row is not None and (_reserved_on(row) is not None or not _is_idle(row))


def _is_ours(consumer: str) -> bool:
    """Return whether a consumer's id may be a secondary's: those of Nova's servers are random ones."""
    try:
        return uuid.UUID(consumer).version == 5
    except ValueError:
        return False
