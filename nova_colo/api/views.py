# SPDX-License-Identifier: Apache-2.0
"""Pairs as the wire shows them."""

import dataclasses
import datetime
from typing import Any

from oslo_utils import timeutils

from nova_colo.db.models import Pair
from nova_colo.db.pairs import core
from nova_colo.pair import actions, model, words

#: Figures that the engine has not renewed for so long are said to be stale. It renews them every five seconds.
STALE_AFTER = datetime.timedelta(seconds=20)

_NO_CHECKPOINTS = {
    "total": 0,
    "mismatch": 0,
    "periodic": 0,
    "forced": 0,
    "last_at": None,
    "window_s": 300,
    "per_min": None,
    "pause_ms": {"mean": None, "p99": None, "max": None},
}


@dataclasses.dataclass(frozen=True)
class Rights:
    """What a caller may see of a pair, and do to it."""

    hosts: bool
    failover: bool


def iso(at: datetime.datetime | None) -> str | None:
    """Return a time as the wire shows it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def pair(row: Pair, rights: Rights) -> dict[str, Any]:
    """Return a pair for a caller with the given rights."""

    def say(text: str | None) -> str:
        known = (row.primary_host, row.secondary_host, row.previous_host, row.nova_host)
        return words.reveal(text or "") if rights.hosts else words.conceal(text or "", known)

    primary = {"host": row.primary_host if rights.hosts else None, "since": iso(row.primary_since)}
    secondary = {"host": row.secondary_host if rights.hosts else None, "since": iso(row.secondary_since)}
    return {
        "server_id": row.server_id,
        "name": row.name,
        "project_id": row.project_id,
        "flavor": row.flavor,
        "ft_status": model.ft_status(row.state, row.secondary_host is not None),
        "state": row.state,
        "state_reason": say(row.state_reason),
        "health": row.health,
        "health_reasons": [say(reason) for reason in row.health_reasons],
        "mode": row.mode,
        "mode_policy": row.mode_policy,
        "backend": row.backend,
        "epoch": row.epoch,
        "primary": primary,
        "secondary": secondary if row.secondary_host else None,
        "protected_since": iso(row.protected_since),
        "progress": row.progress,
        "checkpoints": row.checkpoints or _NO_CHECKPOINTS,
        "stale_since": _stale_since(row),
        "failovers": {
            "total": row.failovers,
            "last_at": iso(row.failover_at),
            "last_reason": say(row.failover_reason) if row.failover_reason else None,
            "last_gap_ms": row.failover_gap_ms,
        },
        "actions": [_failover_action(row, rights)],
    }


def _stale_since(row: Pair) -> str | None:
    if row.measured_at is None or timeutils.utcnow() - row.measured_at <= STALE_AFTER:
        return None
    return iso(row.measured_at)


def _failover_action(row: Pair, rights: Rights) -> dict[str, Any]:
    if not rights.failover:
        reason = "Your role does not allow you to fail this server over."
    else:
        reason = actions.refusal(actions.FAILOVER, core(row))
    return {"name": "failover", "allowed": not reason, "reason": reason}
