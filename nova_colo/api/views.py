# SPDX-License-Identifier: Apache-2.0
"""Pairs as the API shows them."""

import datetime
from collections.abc import Iterable
from typing import Any

from oslo_utils import timeutils

from nova_colo.api.rights import Rights
from nova_colo.db.listing import Count
from nova_colo.db.models import Pair
from nova_colo.db.pairs import to_model
from nova_colo.pair import actions, model, reasons
from nova_colo.pair.model import Health, State
from nova_colo.pair.reasons import Reason

#: Figures are stale when the engine has not renewed them for this long. It renews them every five seconds.
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


def iso(at: datetime.datetime | None) -> str | None:
    """Return a time as the API shows it."""
    return at.replace(microsecond=0).isoformat() + "Z" if at else None


def reason(name: str, why: Reason | None, hosts: bool, absent: str | None = None) -> dict[str, Any]:
    """Return a reason as members of an object: its text as ``name``, with ``name_code`` and ``name_params``.

    :param hosts: whether the caller may see hosts
    :param absent: the text when there is no reason
    """
    if why is None:
        return {name: absent, f"{name}_code": None, f"{name}_params": {}}
    data = why.wire(hosts)
    return {name: why.text(hosts), f"{name}_code": data["code"], f"{name}_params": data["params"]}


def pair(row: Pair, rights: Rights) -> dict[str, Any]:
    """Return a pair for a caller with the given rights."""
    hosts = rights.hosts
    primary = {"host": row.primary_host if rights.hosts else None, "since": iso(row.primary_since)}
    secondary = {"host": row.secondary_host if rights.hosts else None, "since": iso(row.secondary_since)}
    return {
        "server_id": row.server_id,
        "name": row.name,
        "project_id": row.project_id,
        "flavor": row.flavor,
        "ft_status": model.ft_status(row.state, row.secondary_host is not None),
        "state": row.state,
        **reason("state_reason", row.state_reason, hosts, absent=""),
        "health": row.health,
        "health_reasons": [why.text(hosts) for why in row.health_reasons],
        "health_reason_details": [why.wire(hosts) for why in row.health_reasons],
        "wanted": row.wanted,
        **reason("first_error", row.first_error, hosts),
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
        "progress": _progress(row.progress),
        "checkpoints": _figures(row),
        "stale_since": _stale_since(row),
        "failovers": {
            "total": row.failovers,
            "last_at": iso(row.failover_at),
            **reason("last_reason", row.failover_reason, hosts),
            "last_gap_ms": row.failover_gap_ms,
        },
        "actions": _actions(row, rights),
    }


def _progress(progress: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the progress of the creation of a secondary."""
    if progress is None:
        return None
    code = progress["stage"]
    return progress | {
        "stage": reasons.stage(code),
        "stage_code": code if code in reasons.CATALOGUE else None,
    }


def _figures(row: Pair) -> dict[str, Any]:
    """Return the figures of a pair's checkpoints; rate and pauses only while it has a secondary."""
    figures = row.checkpoints or _NO_CHECKPOINTS
    return figures if row.secondary_host else figures | _NOT_MEASURED


def _stale_since(row: Pair) -> str | None:
    """Return since when a pair's figures are stale; None when they are current or it has no secondary."""
    counted = (row.checkpoints or _NO_CHECKPOINTS)["total"]
    if row.secondary_host is None or not counted or row.measured_at is None:
        return None
    # a pair that was just protected again has time for its first measurement
    last = max(row.measured_at, row.protected_since or row.measured_at)
    return iso(row.measured_at) if timeutils.utcnow() - last > STALE_AFTER else None


def _actions(row: Pair, rights: Rights) -> list[dict[str, Any]]:
    pair = to_model(row)
    listed = []
    for action in actions.ACTIONS:
        why = actions.refusal(action, pair) if action in rights.actions else reasons.NOT_ALLOWED[action]()
        listed.append(
            {"name": action, "allowed": why is None, **reason("reason", why, rights.hosts, absent="")}
        )
    return listed


def summary(counts: Iterable[Count]) -> dict[str, Any]:
    """Return the number of pairs of each state and health, and the resources of their secondaries."""
    states, healths = dict.fromkeys(map(str, State), 0), dict.fromkeys(map(str, Health), 0)
    secondaries = {"total": 0, "memory_mb": 0}
    for count in counts:
        states[count.state] += count.pairs
        healths[count.health] += count.pairs
        secondaries["total"] += count.secondaries
        secondaries["memory_mb"] += count.memory_mb
    return {"total": sum(states.values()), "state": states, "health": healths, "secondaries": secondaries}
