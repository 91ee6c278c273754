# SPDX-License-Identifier: Apache-2.0
"""Pairs as the wire shows them."""

import datetime
import functools
from collections.abc import Callable, Iterable
from typing import Any

from oslo_utils import timeutils

from nova_colo.api.rights import Rights
from nova_colo.db.listing import Count
from nova_colo.db.models import Pair
from nova_colo.db.pairs import core
from nova_colo.pair import actions, model, words
from nova_colo.pair.model import Health, State

#: Figures that the engine has not renewed for so long are said to be stale. It renews them every five seconds.
STALE_AFTER = datetime.timedelta(seconds=20)

_NOT_MEASURED: dict[str, Any] = {"per_min": None, "pause_ms": {"mean": None, "p99": None, "max": None}}
_NO_CHECKPOINTS: dict[str, Any] = {
    "total": 0,
    "mismatch": 0,
    "periodic": 0,
    "forced": 0,
    "last_at": None,
    "window_s": 300,
    **_NOT_MEASURED,
}


#: What a role may not allow, in the answer's words.
_DEEDS = {
    actions.FAILOVER: "fail this server over",
    actions.PROTECT: "protect this server",
    actions.UNPROTECT: "remove this server's protection",
    actions.SUSPEND: "suspend this server's protection",
    actions.RESUME: "resume this server's protection",
    actions.TEST_FAILOVER: "test this server's failover",
    actions.MIGRATE_SECONDARY: "move this server's secondary",
    actions.SET_MODE: "set this server's mode",
}


def iso(at: datetime.datetime | None) -> str | None:
    """Return a time as the wire shows it."""
    return at.replace(microsecond=0).isoformat() + "Z" if at else None


def words_for(row: Pair, rights: Rights) -> Callable[[str], str]:
    """Return what makes of a sentence about a pair the one that its reader may see."""
    if rights.hosts:
        return words.reveal
    known = (row.primary_host, row.secondary_host, row.previous_host, row.nova_host, row.reserved_host)
    return functools.partial(words.conceal, known=known)


def pair(row: Pair, rights: Rights) -> dict[str, Any]:
    """Return a pair for a caller with the given rights."""
    say = words_for(row, rights)
    primary = {"host": row.primary_host if rights.hosts else None, "since": iso(row.primary_since)}
    secondary = {"host": row.secondary_host if rights.hosts else None, "since": iso(row.secondary_since)}
    return {
        "server_id": row.server_id,
        "name": row.name,
        "project_id": row.project_id,
        "flavor": row.flavor,
        "ft_status": model.ft_status(row.state, row.secondary_host is not None),
        "state": row.state,
        "state_reason": say(row.state_reason or ""),
        "health": row.health,
        "health_reasons": [say(reason) for reason in row.health_reasons],
        "wanted": row.wanted,
        "first_error": say(row.first_error) if row.first_error else None,
        "mode": row.mode,
        "mode_policy": row.mode_policy,
        "checkpoint_interval_ms": row.checkpoint_interval_ms,
        "auto_reprotect": row.auto_reprotect,
        "backend": row.backend,
        "epoch": row.epoch,
        "primary": primary,
        "secondary": secondary if row.secondary_host else None,
        "reserved_on": row.reserved_host if rights.hosts else None,
        "protected_since": iso(row.protected_since),
        "progress": row.progress,
        "checkpoints": _figures(row),
        "stale_since": _stale_since(row),
        "failovers": {
            "total": row.failovers,
            "last_at": iso(row.failover_at),
            "last_reason": say(row.failover_reason) if row.failover_reason else None,
            "last_gap_ms": row.failover_gap_ms,
        },
        "actions": _actions(row, rights, say),
    }


def _figures(row: Pair) -> dict[str, Any]:
    """Return a pair's checkpoints; rate and pauses only while there are some."""
    figures = row.checkpoints or _NO_CHECKPOINTS
    return figures if row.secondary_host else figures | _NOT_MEASURED


def _stale_since(row: Pair) -> str | None:
    """Return since when the figures of a pair are old; None when they are not, or when there is no secondary to measure with."""
    counted = (row.checkpoints or _NO_CHECKPOINTS)["total"]
    if row.secondary_host is None or not counted or row.measured_at is None:
        return None
    # what was measured before the pair was protected again is not missed at once
    last = max(row.measured_at, row.protected_since or row.measured_at)
    return iso(row.measured_at) if timeutils.utcnow() - last > STALE_AFTER else None


def _actions(row: Pair, rights: Rights, say: Callable[[str], str]) -> list[dict[str, Any]]:
    pair = core(row)
    listed = []
    for action in actions.ACTIONS:
        if action in rights.actions:
            reason = say(actions.refusal(action, pair))
        else:
            reason = f"Your role does not allow you to {_DEEDS[action]}."
        listed.append({"name": action, "allowed": not reason, "reason": reason})
    return listed


def summary(counts: Iterable[Count]) -> dict[str, Any]:
    """Return how many pairs there are of each state and health, and what their secondaries take."""
    states, healths = dict.fromkeys(map(str, State), 0), dict.fromkeys(map(str, Health), 0)
    secondaries = {"total": 0, "memory_mb": 0}
    for count in counts:
        states[count.state] += count.pairs
        healths[count.health] += count.pairs
        secondaries["total"] += count.secondaries
        secondaries["memory_mb"] += count.memory_mb
    return {"total": sum(states.values()), "state": states, "health": healths, "secondaries": secondaries}
