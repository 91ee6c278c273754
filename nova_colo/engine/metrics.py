# SPDX-License-Identifier: Apache-2.0
"""Writes what agents report to the database: figures of pairs and hosts, and the history of checkpoints."""

import time
from typing import Any

import oslo_messaging as messaging
from oslo_log import log as logging
from oslo_utils import timeutils

from nova_colo.db import history, hosts, pairs, secondaries
from nova_colo.engine.context import Services
from nova_colo.engine.host_tracker import Snapshot
from nova_colo.engine.isolation import isolated
from nova_colo.pair.reasons import read_all

LOG = logging.getLogger(__name__)

#: Pairs written in one transaction: a long one would hold rows that a failover waits for.
AT_ONCE = 100
#: How far back the first look at an agent's history goes, in seconds; agents keep no more.
FIRST_LOOK = 900


class Figures:
    """Keeps the database as fresh as the heartbeats."""

    def __init__(self, services: Services):
        self._services = services
        self._history_until: dict[str, int] = {}

    def write(self) -> None:
        """Write the latest figures of all hosts and their primaries, and which secondaries there are."""
        seen = self._services.view.snapshot(time.monotonic())
        measured = timeutils.utcnow()
        with self._services.database.writer() as session:
            for host, report in seen.reports.items():
                values = {name: report[name] for name in ("backend", "version", "versions") if name in report}
                reasons = read_all(report.get("reasons"))
                hosts.put(session, host, seen_at=measured, capable=not reasons, reasons=reasons, **values)
        with self._services.database.reader() as session:
            primaries = pairs.primaries(session)
        rows = [row for server_id, host in primaries if (row := _figures(seen, server_id, host))]
        for start in range(0, len(rows), AT_ONCE):
            with self._services.database.writer() as session:
                pairs.update_many(
                    session, [row | {"measured_at": measured} for row in rows[start : start + AT_ONCE]]
                )
        with self._services.database.writer() as session:
            secondaries.record(session, measured)

    def collect_history(self) -> None:
        """Store the checkpoints of each host that have not been stored yet."""
        for host in self._services.view.snapshot(time.monotonic()).reports:
            with isolated(f"The history of host {host}"):
                self._collect(host)

    def _collect(self, host: str) -> None:
        now = int(time.time())
        since = self._history_until.get(host, now - FIRST_LOOK)
        try:
            found = self._services.agents.call(host, "checkpoint_buckets", since=since)
        except messaging.MessagingTimeout:
            return  # it is asked again
        rows = [
            {"server_id": server_id, "seconds": history.FINE, **bucket}
            for server_id, many in found.items()
            for bucket in many
        ]
        for start in range(0, len(rows), AT_ONCE):
            with self._services.database.writer() as session:
                history.store(session, rows[start : start + AT_ONCE])
        if rows:
            self._history_until[host] = max(row["start"] for row in rows)


def _figures(seen: Snapshot, server_id: str, host: str) -> dict[str, Any] | None:
    """Return the columns that hold what a primary's host last reported of it; None when it reported nothing."""
    report = seen.reports.get(host)
    replica = report["servers"].get(server_id) if report else None
    figures = replica.get("checkpoints") if replica else None
    if not report or not figures:
        return None
    return {
        "server_id": server_id,
        "checkpoints": figures,
        "checkpoint_rate": figures["per_min"],
        "pause_p99_ms": figures["pause_ms"]["p99"],
        "backend": report["backend"],
    }
