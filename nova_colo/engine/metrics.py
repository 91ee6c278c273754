# SPDX-License-Identifier: Apache-2.0
"""Write agents' reports to the database: metrics of pairs and hosts, and the checkpoint history."""

import time
from typing import Any

from oslo_log import log as logging
from oslo_utils import timeutils

from nova_colo.db import history, hosts, pairs, secondaries
from nova_colo.engine.context import Context
from nova_colo.engine.errors import WorkflowError
from nova_colo.engine.host_tracker import Snapshot
from nova_colo.engine.isolation import isolated

LOG = logging.getLogger(__name__)

#: Pairs written in one transaction: a long one would lock rows that a failover waits for.
BATCH_SIZE = 100
#: Range in seconds of the first request for an agent's history; agents keep no more.
INITIAL_RANGE_S = 900


class MetricsWriter:
    """Writes what the heartbeats report."""

    def __init__(self, context: Context):
        self._context = context
        self._history_until: dict[str, int] = {}

    def write(self) -> None:
        """Write the latest metrics of all hosts and primaries, and record the current secondaries."""
        snapshot = self._context.tracker.snapshot()
        measured = timeutils.utcnow()
        with self._context.database.writer() as session:
            for host, report in snapshot.reports.items():
                values = {name: report[name] for name in ("backend", "version", "versions") if name in report}
                reasons = snapshot.unmet_requirements(host)
                hosts.put(session, host, seen_at=measured, capable=not reasons, reasons=reasons, **values)
        with self._context.database.reader() as session:
            primaries = pairs.primaries(session)
        rows = [row for server_id, host in primaries if (row := _columns(snapshot, server_id, host))]
        for start in range(0, len(rows), BATCH_SIZE):
            with self._context.database.writer() as session:
                pairs.update_many(
                    session, [row | {"measured_at": measured} for row in rows[start : start + BATCH_SIZE]]
                )
        with self._context.database.writer() as session:
            secondaries.record(session, measured)

    def collect_history(self) -> None:
        """Store the checkpoints of each host that have not been stored yet."""
        for host in self._context.tracker.snapshot().reports:
            with isolated(f"the checkpoint history of host {host}"):
                self._collect(host)

    def _collect(self, host: str) -> None:
        now = int(time.time())
        since = self._history_until.get(host, now - INITIAL_RANGE_S)
        try:
            buckets = self._context.agent_api.checkpoint_buckets(host, since)
        except WorkflowError as error:
            LOG.info("Failed to collect the checkpoint history of host %s: %s", host, error)
            return  # retried in the next round
        rows = [
            {"server_id": server_id, "seconds": history.FINE, **bucket}
            for server_id, server_buckets in buckets.items()
            for bucket in server_buckets
        ]
        for start in range(0, len(rows), BATCH_SIZE):
            with self._context.database.writer() as session:
                history.store(session, rows[start : start + BATCH_SIZE])
        if rows:
            self._history_until[host] = max(row["start"] for row in rows)


def _columns(snapshot: Snapshot, server_id: str, host: str) -> dict[str, Any] | None:
    """Return the metric columns from the last report of a primary's host; None without a report."""
    report = snapshot.reports.get(host)
    replica = report["servers"].get(server_id) if report else None
    checkpoints = replica.get("checkpoints") if replica else None
    if not report or not checkpoints:
        return None
    return {
        "server_id": server_id,
        "checkpoints": checkpoints,
        "checkpoint_rate": checkpoints["per_min"],
        "pause_p99_ms": checkpoints["pause_ms"]["p99"],
        "backend": report["backend"],
    }
