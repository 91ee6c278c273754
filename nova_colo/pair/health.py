# SPDX-License-Identifier: Apache-2.0
"""The health rule."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nova_colo.pair import reasons
from nova_colo.pair.arbitration import GONE, Observation, idle_reason
from nova_colo.pair.model import Health, Pair, State
from nova_colo.pair.reasons import Reason

#: A figure is updated when it has grown or shrunk by this factor since it was last stored.
_MUCH = 2.0


def assess(
    pair: Pair,
    reason: Reason | None,
    primary: Observation,
    secondary: Observation,
    before: Sequence[Reason] = (),
) -> tuple[Health, tuple[Reason, ...]]:
    """Return a pair's health and the reasons for it.

    :param reason: the reason of the pair's state
    :param before: the last reasons: a reason reported by a replica keeps its last figures until they have
        changed much, since reasons are written to the database when they change
    :returns: health and its reasons, none when it is ok
    """
    match pair.state:
        case State.PROTECTED:
            return _assess_protected(pair, primary, secondary, before)
        case State.STARTING | State.FAILING_OVER:
            return Health.WARNING, (reason or reasons.PAIR_IS(state=pair.state),)
        case State.SUSPENDED:
            return Health.WARNING, (reason or reasons.SUSPENDED(),)
        case State.UNPROTECTED if idle := idle_reason(pair):
            return Health.WARNING, (idle,)
        case _:
            return Health.CRITICAL, (reason or reasons.NO_SECONDARY(),)


def with_health(
    pair: Pair, values: Mapping[str, Any], primary: Observation = GONE, secondary: Observation = GONE
) -> dict[str, Any]:
    """Return columns of a pair that are about to be set; those with a state get its health too.

    :param pair: the pair before
    :param values: the columns; a state comes with its reason
    :param primary: observation of the primary's host; not needed for a pair that is not protected
    :param secondary: observation of the secondary's host; not needed for a pair that is not protected
    """
    if "state" not in values:
        return dict(values)
    names = {field.name for field in dataclasses.fields(Pair)}
    after = dataclasses.replace(pair, **{name: value for name, value in values.items() if name in names})
    level, health_reasons = assess(after, values["state_reason"], primary, secondary)
    return {**values, "health": level, "health_reasons": list(health_reasons)}


def _assess_protected(
    pair: Pair, primary: Observation, secondary: Observation, before: Sequence[Reason]
) -> tuple[Health, tuple[Reason, ...]]:
    replicas = [
        observation.replica for observation in (primary, secondary) if observation.replica is not None
    ]
    reported = _steady((reason for replica in replicas for reason in replica.reasons), before)
    hosts = ((pair.primary_host, primary), (pair.secondary_host, secondary))
    silent = [reasons.AGENT_SILENT(host=name) for name, observation in hosts if not observation.alive]
    down = any(replica.link_up is False and replica.reasons for replica in replicas)
    level = Health.CRITICAL if down else Health.WARNING if silent or reported else Health.OK
    return level, (*silent, *reported)


def _steady(reported: Iterable[Reason], before: Sequence[Reason]) -> list[Reason]:
    """Return each reported reason once, whatever its figures, with the last figures if they differ little."""
    known = {reason.about(): reason for reason in before}
    steady: dict[tuple[Any, ...], Reason] = {}
    for reason in reported:
        last = known.get(reason.about(), reason)
        steady.setdefault(reason.about(), last if _is_similar(last, reason) else reason)
    return list(steady.values())


def _is_similar(one: Reason, other: Reason) -> bool:
    """Return whether the figures of two otherwise equal reasons differ little."""
    both = [(value, other.figures()[name]) for name, value in one.figures().items()]
    return all(max(pair) < _MUCH * min(pair) or max(pair) == min(pair) for pair in both)
