# SPDX-License-Identifier: Apache-2.0
"""Repairs reservations that others have removed or that were left behind."""

import uuid

from oslo_log import log as logging

from nova_colo.db import pairs
from nova_colo.db.models import Pair
from nova_colo.engine.capacity import size_of
from nova_colo.engine.context import Services
from nova_colo.engine.isolation import isolated
from nova_colo.pair import host_selection, reasons

LOG = logging.getLogger(__name__)


class Reservations:
    """Compares what placement holds with what pairs need.

    Drift comes from ``nova-manage placement audit --delete``, which takes secondaries for orphans, from servers that were deleted
    while an engine could not see it, and from engines that were killed between two steps.
    """

    def __init__(self, services: Services):
        self._services = services
        self._suspects: set[str] = set()
        self._short: set[str] = set()

    def repair(self) -> None:
        """Look once at every reservation. What nobody needs is removed when it is seen for the second time."""
        with self._services.database.reader() as session:
            rows = {row.secondary_id: row for row in pairs.all_pairs(session)}
        providers = self._services.nova.providers()
        held: dict[str, dict[str, dict[str, int]]] = {}
        for provider in providers.values():
            for consumer, resources in self._services.placement.allocations_on(provider).items():
                held.setdefault(consumer, {})[provider] = resources
        for twin, row in rows.items():
            with isolated(f"The reservation of server {row.server_id}"):
                self._look_at(row, providers, held.get(twin, {}))
        self._remove_orphans(
            [consumer for consumer in held if _is_ours(consumer) and not _needed(rows.get(consumer))]
        )

    def _look_at(self, row: Pair, providers: dict[str, str], held: dict[str, dict[str, int]]) -> None:
        host = _holder(row)
        if host is None or host not in providers or not _settled(row):
            return
        if held == {providers[host]: host_selection.secondary_resources(size_of(row))}:
            self._short.discard(row.server_id)
            return
        with self._services.database.reader() as session:
            now = pairs.get(session, row.server_id)
        if now is None or not _settled(now) or _holder(now) != host:
            return  # it has changed meanwhile
        if self._services.room.keep(now, host):
            self._short.discard(row.server_id)
            self._services.note(row.server_id, "repair", reasons.RESERVATION_REPAIRED(host=host))
        elif row.server_id not in self._short:
            self._short.add(row.server_id)
            self._services.note(row.server_id, "repair", reasons.RESERVATION_LOST(host=host))

    def _remove_orphans(self, consumers: list[str]) -> None:
        seen_twice = self._suspects.intersection(consumers)
        self._suspects = set(consumers) - seen_twice
        for consumer in seen_twice:
            with isolated(f"Reservation {consumer}"):
                if not self._services.placement.is_secondary(consumer):
                    continue
                with self._services.database.reader() as session:
                    row = pairs.get_by_secondary_id(session, consumer)
                if _needed(row):
                    continue
                self._services.placement.release(consumer)
                LOG.warning("Reservation %s belonged to no secondary and was removed.", consumer)
                if row is not None:
                    self._services.note(row.server_id, "repair", reasons.RESERVATION_REMOVED())


def _holder(row: Pair) -> str | None:
    return row.secondary_host or row.reserved_host


def _settled(row: Pair) -> bool:
    return row.operation_id is None and row.nova_host == row.primary_host


def _needed(row: Pair | None) -> bool:
    return row is not None and (_holder(row) is not None or not _settled(row))


def _is_ours(consumer: str) -> bool:
    """Return whether a consumer's id may be a twin's: those of Nova's servers are random ones."""
    try:
        return uuid.UUID(consumer).version == 5
    except ValueError:
        return False
