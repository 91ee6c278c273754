# SPDX-License-Identifier: Apache-2.0
"""The health rule."""

from nova_colo.pair import words
from nova_colo.pair.arbitration import Witness, idle_reason
from nova_colo.pair.model import Health, Pair, State


def assess(pair: Pair, reason: str, primary: Witness, secondary: Witness) -> tuple[Health, tuple[str, ...]]:
    """Return how well a pair does, and why.

    :param reason: the reason of the pair's state
    :returns: health and its reasons, none when it is ok
    """
    match pair.state:
        case State.PROTECTED:
            silent = [
                name for name, witness in ((pair.primary_host, primary), (pair.secondary_host, secondary)) if not witness.alive
            ]
            if silent:
                return Health.WARNING, tuple(f"The agent on {words.host(name or '')} does not answer." for name in silent)
            return Health.OK, ()
        case State.STARTING | State.FAILING_OVER:
            return Health.WARNING, (reason or f"The pair is {pair.state.replace('_', ' ')}.",)
        case State.SUSPENDED:
            return Health.WARNING, (reason or "Protection is suspended.",)
        case State.UNPROTECTED if idle := idle_reason(pair):
            return Health.WARNING, (idle,)
        case _:
            return Health.CRITICAL, (reason or "The server runs without a secondary.",)
