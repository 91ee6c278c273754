# SPDX-License-Identifier: Apache-2.0
"""The health rule."""

from collections.abc import Iterable, Sequence
from typing import Any

from nova_colo.pair import reasons
from nova_colo.pair.arbitration import Observation, idle_reason
from nova_colo.pair.model import Health, Pair, State
from nova_colo.pair.reasons import Reason

#: A figure is updated when it has grown or shrunk by this factor since it was last stored.
_CHANGE_FACTOR = 2.0


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


def _assess_protected(
    pair: Pair, primary: Observation, secondary: Observation, before: Sequence[Reason]
) -> tuple[Health, tuple[Reason, ...]]:
    replicas = [
        observation.replica for observation in (primary, secondary) if observation.replica is not None
    ]
    reported = _keep_figures((reason for replica in replicas for reason in replica.reasons), before)
    hosts = ((pair.primary_host, primary), (pair.secondary_host, secondary))
    silent = [reasons.AGENT_SILENT(host=name) for name, observation in hosts if not observation.alive]
    unknown = [
        reasons.REPLICA_SILENT(host=name) for name, observation in hosts if observation.has_silent_qemu
    ]
    down = any(replica.link_up is False and replica.reasons for replica in replicas)
    level = Health.CRITICAL if down else Health.WARNING if silent or unknown or reported else Health.OK
    return level, (*silent, *unknown, *reported)


def _keep_figures(reported: Iterable[Reason], before: Sequence[Reason]) -> list[Reason]:
    """Return each reported reason once, whatever its figures, with the last figures if they differ little."""
    known = {reason.about(): reason for reason in before}
    kept: dict[tuple[Any, ...], Reason] = {}
    for reason in reported:
        last = known.get(reason.about(), reason)
        kept.setdefault(reason.about(), last if _is_similar(last, reason) else reason)
    return list(kept.values())


def _is_similar(one: Reason, other: Reason) -> bool:
    """Return whether the figures of two otherwise equal reasons differ little."""
    both = [(value, other.figures()[name]) for name, value in one.figures().items()]
    return all(max(pair) < _CHANGE_FACTOR * min(pair) or max(pair) == min(pair) for pair in both)
