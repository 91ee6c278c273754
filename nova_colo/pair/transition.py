# SPDX-License-Identifier: Apache-2.0
"""Consequences of a change of a pair's state: its health, and columns to clear."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from nova_colo.pair.arbitration import GONE, Observation
from nova_colo.pair.health import assess
from nova_colo.pair.model import Pair, State

_WITHOUT_SECONDARY = {
    "secondary_host": None,
    "secondary_since": None,
    "protected_since": None,
    "checkpoint_rate": None,
    "pause_p99_ms": None,
}
_STATE = frozenset({"state", "state_reason"})
_FIELDS = frozenset(field.name for field in dataclasses.fields(Pair))


def determines_others(values: Mapping[str, Any]) -> bool:
    """Return whether other columns of a pair follow from the given ones."""
    return not _STATE.isdisjoint(values) or "secondary_host" in values


def transition(
    pair: Pair, values: Mapping[str, Any], replicas: tuple[Observation, Observation] | None = None
) -> dict[str, Any]:
    """Return columns of a pair that are about to be set, with those that follow from them.

    A state or its reason determines the health, a new state does not keep the reason of the last one, and a
    pair without a secondary keeps no figures of one.

    :param pair: the pair before
    :param values: the columns
    :param replicas: observations of the primary's and the secondary's host; without them the health of a pair
        that is protected stays as it is
    """
    completed = dict(values)
    if "secondary_host" in values and values["secondary_host"] is None:
        completed |= _WITHOUT_SECONDARY
    if _STATE.isdisjoint(values):
        return completed
    completed.setdefault("state_reason", None)
    after = dataclasses.replace(pair, **{name: value for name, value in completed.items() if name in _FIELDS})
    if after.state == State.PROTECTED and replicas is None:
        return completed
    level, why = assess(after, completed["state_reason"], *(replicas or (GONE, GONE)))
    return completed | {"health": level, "health_reasons": list(why)}
