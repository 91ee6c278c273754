# SPDX-License-Identifier: Apache-2.0
"""Reconcile all pairs: decide what each needs and start its operation."""

import collections
import functools
from collections.abc import Iterable
from typing import Any

from oslo_log import log as logging
from oslo_utils import timeutils

from nova_colo.db import events, operations, pairs
from nova_colo.db.models import Operation
from nova_colo.db.pairs import to_model
from nova_colo.engine.context import Context
from nova_colo.engine.errors import WorkflowError
from nova_colo.engine.host_tracker import Snapshot, replica_of
from nova_colo.engine.isolation import isolated
from nova_colo.engine.runner import IMMEDIATE, POOLS, Runner
from nova_colo.engine.workflows import agent_calls
from nova_colo.pair import arbitration, health, model, reasons
from nova_colo.pair.arbitration import Action
from nova_colo.pair.model import Health, Role, State
from nova_colo.pair.operation import (
    COPIES,
    FailoverParams,
    ModeParams,
    Params,
    ProtectParams,
    UnprotectParams,
)
from nova_colo.pair.reasons import Reason

LOG = logging.getLogger(__name__)


class Reconciler:
    """Reconciles all pairs, one pass at a time.

    Whatever takes long is a workflow. A failure with one pair or host does not affect the others.
    """

    def __init__(self, context: Context, runner: Runner):
        self._context = context
        self._runner = runner
        self._copies: collections.Counter[str] = collections.Counter()  # by host, from or to it

    def reconcile(self) -> None:
        """Check every operation, pair and host once."""
        # before the rows are read: with newer reports, a replica that was just promoted would seem orphaned
        snapshot = self._context.tracker.snapshot()
        with self._context.database.reader() as session:
            rows = {row.server_id: row for row in pairs.all_pairs(session)}
            unfinished = {operation.id: operation for operation in operations.running(session)}
        self._copies = _copies(unfinished.values())
        for operation in unfinished.values():
            self._runner.submit(operation)
        for row in rows.values():
            with isolated(f"server {row.server_id}"):
                if self._is_idle(row, snapshot):
                    self._reconcile_pair(row, snapshot)
                elif row.operation_id in unfinished:
                    self._reconcile_waiting(row, unfinished[row.operation_id], snapshot)
        # after all decisions: when many hosts die at once, a failover must not wait until this is written
        for row in rows.values():
            with isolated(f"the health of server {row.server_id}"):
                self._assess(row, snapshot)
        for host, report in snapshot.reports.items():
            with isolated(f"host {host}"):
                self._destroy_orphaned(host, report, rows, snapshot)

    def _is_idle(self, row: pairs.Pair, snapshot: Snapshot) -> bool:
        """Return whether a pair has no operation, and reports have shown the outcome of its last one."""
        reported_at = snapshot.oldest_report(row.primary_host, row.secondary_host)
        return row.operation_id is None and not self._runner.finished_since(row.server_id, reported_at)

    def _reconcile_pair(self, row: pairs.Pair, snapshot: Snapshot) -> None:
        pair = to_model(row)
        if newer := _newer_grant(row, snapshot):
            self._repair(row, newer)
            return
        primary = snapshot.observation(row.primary_host, row.server_id)
        secondary = snapshot.observation(row.secondary_host, row.server_id)
        decision = arbitration.decide(pair, primary, secondary)
        if decision.action == Action.LOST and decision.reason is not None:
            self._mark_lost(row, decision.reason)
        elif decision.action != Action.NONE:
            self._start(row, decision, snapshot)
        elif (reason := arbitration.idle_reason(pair)) and row.state_reason != reason:
            values = {
                "state": arbitration.idle_state(pair),
                "state_reason": reason,
                "retry_at": None,
                "attempts": 0,
            }
            with self._context.database.writer() as session:
                pairs.update_if_unchanged(session, row, **values)
        elif mode := _mode_to_set(row, snapshot):
            self._change_mode(row, mode)

    def _reconcile_waiting(self, row: pairs.Pair, operation: Operation, snapshot: Snapshot) -> None:
        """Cancel an operation that waits for a thread when a replica is lost: it would block the failover."""
        if operation.step or row.secondary_host is None or POOLS.get(operation.kind) == IMMEDIATE:
            return
        if snapshot.has_newer(row.server_id, row.epoch):
            return
        replicas = (
            snapshot.observation(row.primary_host, row.server_id),
            snapshot.observation(row.secondary_host, row.server_id),
        )
        lost = arbitration.decide(to_model(row), *replicas).action in (
            Action.FAILOVER,
            Action.RUN_UNPROTECTED,
        )
        if not lost or not self._runner.cancel_waiting(operation.id):
            return
        before = operation.params.get("previous_state")
        values = {"state": before, "state_reason": None} if before else {}
        cancelled = reasons.REQUEST_CANCELLED()
        with self._context.database.writer() as session:
            if operations.finish(session, operation.id, cancelled, replicas, **values):
                who = {"request_id": operation.request_id, "user_id": operation.requested_by}
                events.add(session, row.server_id, operation.kind, cancelled, None, **who)
            now = pairs.get(session, row.server_id)
        if now is not None and now.operation_id is None:
            self._reconcile_pair(now, snapshot)

    def _repair(self, row: pairs.Pair, newer: arbitration.NewerGrant) -> None:
        """Restore a grant that the database has lost, if it is certain who has it; do nothing otherwise."""
        if newer.primary is None:
            return
        host, secondary = newer.primary, newer.secondary
        reason = reasons.GRANT_RESTORED(host=host, epoch=newer.epoch, lost=row.epoch)
        LOG.error("Server %s: %s", row.server_id, reason)
        values = {
            "epoch": newer.epoch,
            "primary_host": host,
            "secondary_host": secondary,
            "state": State.PROTECTED if secondary else State.DEGRADED,
            "state_reason": None if secondary else reason,
            "return_to": None,
            "reserved_host": None,
            "progress": None,
            "retry_at": None,
        }
        now = timeutils.utcnow()
        if newer.in_records:
            values["nova_host"] = host
        if host != row.primary_host:
            values["primary_since"] = now
        if secondary:
            values |= {"secondary_since": now, "protected_since": now}
        with self._context.database.writer() as session:
            if pairs.update_if_unchanged(session, row, **values):
                events.add(session, row.server_id, "database", reason)

    def _change_mode(self, row: pairs.Pair, mode: str) -> None:
        """Change the mode of a pair under the policy hybrid, as its primary's agent has reported."""
        if row.retry_at is not None and row.retry_at > timeutils.utcnow():
            return
        params = ModeParams(row.primary_host, row.epoch, mode=row.mode_policy, actual=mode)
        self._begin(row, "set_mode", params)

    def _start(self, row: pairs.Pair, decision: arbitration.Decision, snapshot: Snapshot) -> None:
        if (
            row.retry_at is not None
            and row.retry_at > timeutils.utcnow()
            and self._must_wait(row, decision.action)
        ):
            return
        base: dict[str, Any] = {
            "source": row.primary_host,
            "epoch": row.epoch,
            "reason": decision.reason.data() if decision.reason else None,
            "previous_state": row.state,
        }
        target = row.secondary_host or row.reserved_host
        params: Params
        values: dict[str, Any] = {}
        match decision.action:
            case Action.PROTECT:
                if not self._may_copy(row):
                    return
                params = ProtectParams(**base)
                values = {"state": State.STARTING, "state_reason": reasons.MAKING_SECONDARY()}
            case Action.FAILOVER:
                params = FailoverParams(**base, target=target or "", planned=decision.planned)
                why = reasons.FAILING_OVER(reason=decision.reason)
                values = {"state": State.FAILING_OVER, "state_reason": why, "return_to": None}
            case Action.RESTART:
                params = Params(**base)
                why = reasons.NOT_RUNNING_RESTARTING(reason=decision.reason)
                values = {"state": State.ERROR, "state_reason": why}
            case Action.FOLLOW:
                base |= {"source": row.nova_host, "epoch": row.epoch - 1}
                params = FailoverParams(**base, target=row.primary_host, planned=decision.planned)
            case _:
                params = UnprotectParams(**base, target=target, keep_reservation=decision.keep_reservation)
        LOG.info(
            "Starting %s of server %s: %s",
            decision.action,
            row.server_id,
            decision.reason or "it has no secondary",
        )
        is_loss = decision.action in (Action.FAILOVER, Action.RUN_UNPROTECTED) and not decision.planned
        event = _reported_problems(row, snapshot) if is_loss and not row.attempts else None
        self._begin(row, decision.action.value, params, event, **values)

    def _may_copy(self, row: pairs.Pair) -> bool:
        """Return whether a server may get its secondary now. Record why not; the next pass asks again."""
        options, host = self._context.conf.engine, row.primary_host
        if self._copies[host] >= options.max_copies_per_host:
            reason = reasons.WAITING_FOR_COPIES(host=host, number=options.max_copies_per_host)
        elif self._copied_too_often(row.server_id):
            reason = reasons.PROTECTED_TOO_OFTEN(number=options.max_protects_per_hour)
        else:
            self._copies[host] += 1
            return True
        if row.state_reason != reason:
            with self._context.database.writer() as session:
                pairs.update_if_unchanged(session, row, state_reason=reason)
        return False

    def _copied_too_often(self, server_id: str) -> bool:
        with self._context.database.reader() as session:
            copies = operations.copies_within_hour(session, server_id)
        return copies >= self._context.conf.engine.max_protects_per_hour

    def _must_wait(self, row: pairs.Pair, action: Action) -> bool:
        """Return whether an action waits for the time of the next attempt.

        A failover or run_alone waits only if the last operation was of the same kind.
        """
        if action not in (Action.FAILOVER, Action.RUN_UNPROTECTED):
            return True
        with self._context.database.reader() as session:
            last = operations.newest(session, row.server_id)
        return last is not None and last.kind == action

    def _begin(
        self, row: pairs.Pair, kind: str, params: Params, event: Reason | None = None, **values: Any
    ) -> None:
        """Start an operation, unless the pair has changed since it was read.

        :param event: recorded when it is started
        :param values: columns of the pair to set with the claim
        """
        with self._context.database.writer() as session:
            started = operations.start(session, row, kind, params.data(), **values)
            if started and event:
                events.add(session, row.server_id, kind, event)
            operation = operations.get(session, started) if started else None
        if operation is not None:
            self._runner.submit(operation)

    def _mark_lost(self, row: pairs.Pair, reason: Reason) -> None:
        """Record that neither replica runs.

        The secondary's reservation is released when the server is restarted or protected again.
        """
        why = reasons.NOT_RUNNING(reason=reason)
        if (row.state, row.state_reason) == (State.ERROR, why):
            return
        LOG.error("Server %s: %s", row.server_id, reason)
        values = {"state": State.ERROR, "state_reason": why, "return_to": None, "secondary_host": None}
        with self._context.database.writer() as session:
            if pairs.update_if_unchanged(session, row, **values):
                events.add(session, row.server_id, "lost", why)

    def _assess(self, row: pairs.Pair, snapshot: Snapshot) -> None:
        primary = snapshot.observation(row.primary_host, row.server_id)
        secondary = snapshot.observation(row.secondary_host, row.server_id)
        level, why = health.assess(to_model(row), row.state_reason, primary, secondary, row.health_reasons)
        unclear = None
        if self._is_idle(row, snapshot) and (newer := _newer_grant(row, snapshot)) and newer.primary is None:
            unclear = newer.reason(row.epoch)
            level, why = Health.CRITICAL, (unclear,)
        if (level, list(why)) != (row.health, row.health_reasons):
            with self._context.database.writer() as session:
                pairs.update_if_current(session, row, health=level, health_reasons=list(why))
                if unclear:
                    events.add(session, row.server_id, "database", unclear)

    def _destroy_orphaned(
        self, host: str, report: dict[str, Any], rows: dict[str, pairs.Pair], snapshot: Snapshot
    ) -> None:
        for server_id, reported in report["servers"].items():
            row = rows.get(server_id)
            if self._runner.finished_since(server_id, snapshot.reported_at[host]) or (
                row is not None and (row.operation_id is not None or snapshot.has_newer(server_id, row.epoch))
            ):
                continue
            replica = replica_of(reported)
            if arbitration.is_orphaned(to_model(row) if row else None, host, replica):
                # in the background: this thread renews the lease, and an agent may be slow
                task = functools.partial(self._destroy, host, server_id, replica, row is None)
                self._runner.run_in_background(f"the orphaned replica of {server_id} on {host}", task)

    def _destroy(self, host: str, server_id: str, replica: model.Replica, gone: bool) -> None:
        """Destroy an orphaned replica.

        A guest of a server that exists in Nova but is no FT server any more is only unprotected: it is
        Nova's.
        """
        LOG.info("Host %s has an orphaned %s replica of server %s.", host, replica.role, server_id)
        may_be_novas = replica.role in (Role.PRIMARY, Role.LEAVING, Role.PROMOTED)
        try:
            if gone and may_be_novas and self._context.nova.server(server_id) is not None:
                if replica.role == Role.PROMOTED:
                    LOG.warning(
                        "Host %s runs server %s, which has no pair; Nova names another host. Not destroying "
                        "it.",
                        host,
                        server_id,
                    )
                else:
                    agent_calls.unprotect_known(self._context.agent_api, host, server_id, replica.epoch)
            else:
                self._context.agent_api.destroy(host, server_id, replica.role, replica.epoch)
        except WorkflowError as error:
            LOG.warning("%s", error)


def _copies(unfinished: Iterable[Operation]) -> collections.Counter[str]:
    """Return how many servers are being copied from or to each host."""
    copied = [operation.params for operation in unfinished if operation.kind in COPIES]
    return collections.Counter(
        host for params in copied for host in (params.get("source"), params.get("target")) if host
    )


def _reported_problems(row: pairs.Pair, snapshot: Snapshot) -> Reason | None:
    """Return the problems that the agents of a pair have reported; None when there are none."""
    hosts = [host for host in (row.primary_host, row.secondary_host) if host]
    observed = {host: snapshot.observation(host, row.server_id).replica for host in hosts}
    problems = [
        reasons.REPORTED(host=host, signs=replica.reasons)
        for host, replica in observed.items()
        if replica is not None and replica.reasons
    ]
    return reasons.NOTICED(signs=problems) if problems else None


def _newer_grant(row: pairs.Pair, snapshot: Snapshot) -> arbitration.NewerGrant | None:
    """Return the newest grant if a pair's row does not know it."""
    if not snapshot.has_newer(row.server_id, row.epoch):
        return None
    return arbitration.newer_grant(to_model(row), snapshot.replicas(row.server_id))


def _mode_to_set(row: pairs.Pair, snapshot: Snapshot) -> str | None:
    """Return the mode that a protected pair under the policy hybrid should change to, or None."""
    if row.state != State.PROTECTED or row.mode_policy != model.Mode.HYBRID:
        return None
    report = snapshot.reports.get(row.primary_host, {"servers": {}})
    requested = report["servers"].get(row.server_id, {}).get("mode")
    return (
        requested if requested in (model.Mode.COLO, model.Mode.CHECKPOINT) and requested != row.mode else None
    )
