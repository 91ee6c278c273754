# SPDX-License-Identifier: Apache-2.0
"""The health rule."""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nova_colo.pair import words
from nova_colo.pair.arbitration import GONE, Witness, idle_reason
from nova_colo.pair.model import Health, Pair, State

#: A number that stands by itself: p99, mirror0 and host names are not meant.
_FIGURE = re.compile(r"(?<= )\d+(?:\.\d+)?(?= )")
#: A figure is said anew when it has grown or shrunk by this factor since it was last said.
_MUCH = 2.0


def assess(
    pair: Pair, reason: str, primary: Witness, secondary: Witness, said: Sequence[str] = ()
) -> tuple[Health, tuple[str, ...]]:
    """Return how well a pair does, and why.

    :param reason: the reason of the pair's state
    :param said: the reasons that were given last: what a side reports is given in the same words until its figures have changed
        much, since reasons are written to the database when they change
    :returns: health and its reasons, none when it is ok
    """
    match pair.state:
        case State.PROTECTED:
            return _assess_protected(pair, primary, secondary, said)
        case State.STARTING | State.FAILING_OVER:
            return Health.WARNING, (reason or f"The pair is {pair.state.replace('_', ' ')}.",)
        case State.SUSPENDED:
            return Health.WARNING, (reason or "Protection is suspended.",)
        case State.UNPROTECTED if idle := idle_reason(pair):
            return Health.WARNING, (idle,)
        case _:
            return Health.CRITICAL, (reason or "The server runs without a secondary.",)


def with_health(pair: Pair, values: Mapping[str, Any], primary: Witness = GONE, secondary: Witness = GONE) -> dict[str, Any]:
    """Return columns of a pair that are about to be set, with the health that belongs to their state when they set one.

    :param pair: as it is until then
    :param values: the columns; with a state comes its reason
    :param primary: what is known of the primary's host; not needed for a pair that is not protected
    :param secondary: what is known of the secondary's host; not needed for a pair that is not protected
    """
    if "state" not in values:
        return dict(values)
    names = {field.name for field in dataclasses.fields(Pair)}
    then = dataclasses.replace(pair, **{name: value for name, value in values.items() if name in names})
    level, reasons = assess(then, values["state_reason"], primary, secondary)
    return {**values, "health": level, "health_reasons": list(reasons)}


def _assess_protected(pair: Pair, primary: Witness, secondary: Witness, said: Sequence[str]) -> tuple[Health, tuple[str, ...]]:
    sides = [witness.side for witness in (primary, secondary) if witness.side is not None]
    reported = _steady((reason for side in sides for reason in side.reasons), said)
    hosts = ((pair.primary_host, primary), (pair.secondary_host, secondary))
    silent = [f"The agent on {words.host(name or '')} does not answer." for name, witness in hosts if not witness.alive]
    down = any(side.link_up is False and side.reasons for side in sides)
    level = Health.CRITICAL if down else Health.WARNING if silent or reported else Health.OK
    return level, (*silent, *reported)


def _steady(reasons: Iterable[str], said: Sequence[str]) -> list[str]:
    """Return each reason that sides report once, whatever its figures; as it was said before, if these are much the same."""
    before = {_without_figures(reason): reason for reason in said}
    found: dict[str, str] = {}
    for reason in reasons:
        sentence = _without_figures(reason)
        last = before.get(sentence, reason)
        found.setdefault(sentence, last if _much_the_same(last, reason) else reason)
    return list(found.values())


def _without_figures(reason: str) -> str:
    return _FIGURE.sub("N", reason)


def _much_the_same(one: str, other: str) -> bool:
    """Return whether two sentences that differ in figures only differ little."""
    both = zip(map(float, _FIGURE.findall(one)), map(float, _FIGURE.findall(other)), strict=True)
    return all(max(pair) < _MUCH * min(pair) or max(pair) == min(pair) for pair in both)
