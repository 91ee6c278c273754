# SPDX-License-Identifier: Apache-2.0
"""Looks at every pair and starts what must be done."""

import functools
import time
from typing import Any

from oslo_log import log as logging
from oslo_utils import timeutils

from nova_colo.db import events, operations, pairs
from nova_colo.db.models import Operation
from nova_colo.db.pairs import core
from nova_colo.engine.context import Services
from nova_colo.engine.errors import WorkflowError
from nova_colo.engine.host_tracker import Snapshot, replica_of
from nova_colo.engine.isolation import isolated
from nova_colo.engine.runner import POOLS, URGENT, Runner
from nova_colo.pair import arbitration, health, model, reasons
from nova_colo.pair.arbitration import Action
from nova_colo.pair.model import Role, State
from nova_colo.pair.reasons import Reason

LOG = logging.getLogger(__name__)


class Reconciler:
    """One look at a time; what takes long is a workflow. What goes wrong with one pair or host does not touch the others."""

    def __init__(self, services: Services, runner: Runner):
        self._services = services
        self._runner = runner

    def reconcile(self) -> None:
        """Look once at every operation, pair and host."""
        now = time.monotonic()
        # before the rows: what hosts say must be older than what we know, else a guest just promoted would look stale
        seen = self._services.view.snapshot(now)
        with self._services.database.reader() as session:
            rows = {row.server_id: row for row in pairs.all_pairs(session)}
            unfinished = {operation.id: operation for operation in operations.running(session)}
        for operation in unfinished.values():
            self._runner.submit(operation)
        for row in rows.values():
            with isolated(f"Server {row.server_id}"):
                self._assess(row, seen)
                if self._settled(row, now):
                    self._look_at(row, seen)
                elif row.operation_id in unfinished:
                    self._look_at_waiting(row, unfinished[row.operation_id], seen)
        for host, report in seen.reports.items():
            with isolated(f"Host {host}"):
                self._discard_stale(host, report, rows, now)

    def _settled(self, row: pairs.Pair, now: float) -> bool:
        """Return whether nothing is being done about a pair, and heartbeats since then have shown the outcome."""
        return row.operation_id is None and not self._runner.just_finished(row.server_id, now)

    def _look_at(self, row: pairs.Pair, seen: Snapshot) -> None:
        pair = core(row)
        primary = seen.observation(row.primary_host, row.server_id)
        secondary = seen.observation(row.secondary_host, row.server_id)
        decision = arbitration.decide(pair, primary, secondary)
        if decision.action == Action.LOST and decision.reason is not None:
            self._mark_lost(row, decision.reason)
        elif decision.action != Action.NONE:
            self._start(row, decision)
        elif (reason := arbitration.idle_reason(pair)) and row.state_reason != reason:
            values = {
                "state": arbitration.idle_state(pair),
                "state_reason": reason,
                "retry_at": None,
                "attempts": 0,
            }
            with self._services.database.writer() as session:
                pairs.update_unchanged(session, row, **health.with_health(pair, values))
        elif mode := _wished_mode(row, seen):
            self._change_mode(row, mode)

    def _look_at_waiting(self, row: pairs.Pair, operation: Operation, seen: Snapshot) -> None:
        """End an operation that still waits for a thread when a replica was lost: that comes first."""
        if operation.step or row.secondary_host is None or POOLS.get(operation.kind) == URGENT:
            return
        replicas = [seen.observation(host, row.server_id) for host in (row.primary_host, row.secondary_host)]
        lost = arbitration.decide(core(row), *replicas).action in (Action.FAILOVER, Action.RUN_ALONE)
        if not lost or not self._runner.withdraw(operation.id):
            return
        before = operation.params.get("previous_state")
        values = {"state": before, "state_reason": None} if before else {}
        cancelled = reasons.REQUEST_CANCELLED()
        with self._services.database.writer() as session:
            if operations.finish(
                session, operation.id, cancelled, **health.with_health(core(row), values, *replicas)
            ):
                who = {"request_id": operation.request_id, "user_id": operation.requested_by}
                events.add(session, row.server_id, operation.kind, cancelled, None, **who)
            now = pairs.get(session, row.server_id)
        if now is not None and now.operation_id is None:
            self._look_at(now, seen)

    def _change_mode(self, row: pairs.Pair, mode: str) -> None:
        """Let a pair under the policy hybrid change its mode; its primary's agent has seen what it answers."""
        if row.retry_at is not None and row.retry_at > timeutils.utcnow():
            return
        self._begin(row, "set_mode", {"mode": row.mode_policy, "actual": mode})

    def _start(self, row: pairs.Pair, decision: arbitration.Decision) -> None:
        urgent = decision.action in (Action.FAILOVER, Action.RUN_ALONE)
        if not urgent and row.retry_at is not None and row.retry_at > timeutils.utcnow():
            return
        params = {
            "source": row.primary_host,
            "target": row.secondary_host or row.reserved_host,
            "epoch": row.epoch,
            "reason": decision.reason.data() if decision.reason else None,
            "previous_state": row.state,
            "keep_room": decision.keep_room,
            "planned": decision.planned,
        }
        values: dict[str, Any] = {}
        match decision.action:
            case Action.PROTECT:
                params["target"] = None
                values = {"state": State.STARTING, "state_reason": reasons.MAKING_SECONDARY()}
            case Action.FAILOVER:
                why = reasons.FAILING_OVER(reason=decision.reason)
                values = {"state": State.FAILING_OVER, "state_reason": why, "return_to": None}
            case Action.RESTART:
                why = reasons.NOT_RUNNING_RESTARTING(reason=decision.reason)
                values = {"state": State.ERROR, "state_reason": why}
            case Action.FOLLOW:
                params |= {"source": row.nova_host, "target": row.primary_host, "epoch": row.epoch - 1}
        LOG.info("%s of %s: %s", decision.action, row.server_id, decision.reason or "it has no secondary")
        self._begin(row, decision.action.value, params, **values)

    def _begin(self, row: pairs.Pair, kind: str, params: dict[str, Any], **values: Any) -> None:
        """Start an operation on a pair that is as it was read, and run it.

        :param values: columns of the pair to set at once
        """
        with self._services.database.writer() as session:
            known = health.with_health(core(row), values)
            started = operations.start(session, row, kind, params, **known)
            operation = operations.get(session, started) if started else None
        if operation is not None:
            self._runner.submit(operation)

    def _mark_lost(self, row: pairs.Pair, reason: Reason) -> None:
        """Note that neither replica runs. The secondary's room is given back when the server is restarted or protected again."""
        why = reasons.NOT_RUNNING(reason=reason)
        if (row.state, row.state_reason) == (State.ERROR, why):
            return
        LOG.error("Server %s: %s", row.server_id, reason)
        values = {"state": State.ERROR, "state_reason": why, "return_to": None}
        with self._services.database.writer() as session:
            known = health.with_health(core(row), values | pairs.NO_SECONDARY)
            if pairs.update_unchanged(session, row, **known):
                events.add(session, row.server_id, "lost", why)

    def _assess(self, row: pairs.Pair, seen: Snapshot) -> None:
        primary = seen.observation(row.primary_host, row.server_id)
        secondary = seen.observation(row.secondary_host, row.server_id)
        level, why = health.assess(core(row), row.state_reason, primary, secondary, row.health_reasons)
        if (level, list(why)) != (row.health, row.health_reasons):
            with self._services.database.writer() as session:
                pairs.update_as_seen(session, row, health=level, health_reasons=list(why))

    def _discard_stale(
        self, host: str, report: dict[str, Any], rows: dict[str, pairs.Pair], now: float
    ) -> None:
        for server_id, reported in report["servers"].items():
            row = rows.get(server_id)
            if self._runner.just_finished(server_id, now) or (
                row is not None and row.operation_id is not None
            ):
                continue
            replica = replica_of(reported)
            if arbitration.is_stale(core(row) if row else None, host, replica):
                # not here: the lease is renewed in this thread, and an agent may be slow
                task = functools.partial(self._discard, host, server_id, replica, row is None)
                self._runner.aside(f"discard {server_id} on {host}", task)

    def _discard(self, host: str, server_id: str, replica: model.Replica, gone: bool) -> None:
        """End what a host has of a server; a guest that Nova still has, but not as an FT server's, is Nova's to end."""
        LOG.info("Host %s has a stale %s replica of %s.", host, replica.role, server_id)
        alone = replica.role in (Role.PRIMARY, Role.LEAVING, Role.PROMOTED)
        try:
            if gone and alone and self._services.nova.server(server_id) is not None:
                if replica.role == Role.PROMOTED:
                    LOG.warning(
                        "Host %s runs %s, which Nova takes to be elsewhere, and which has no pair.",
                        host,
                        server_id,
                    )
                else:
                    self._services.ask(host, "release", server_id=server_id)
            else:
                self._services.ask(
                    host, "discard", server_id=server_id, role=replica.role, epoch=replica.epoch
                )
        except WorkflowError as error:
            LOG.warning("%s", error)


def _wished_mode(row: pairs.Pair, seen: Snapshot) -> str | None:
    """Return the mode that a protected pair under the policy hybrid should be in; None when it is, or has another policy."""
    if row.state != State.PROTECTED or row.mode_policy != model.Mode.HYBRID:
        return None
    report = seen.reports.get(row.primary_host, {"servers": {}})
    wished = report["servers"].get(row.server_id, {}).get("mode")
    return wished if wished in (model.Mode.COLO, model.Mode.CHECKPOINT) and wished != row.mode else None
