# SPDX-License-Identifier: Apache-2.0
"""The hybrid rule: when a pair leaves COLO for periodic checkpoints, and when COLO is tried again.

COLO pays only while replies agree. While they keep differing, each client request costs a checkpoint; with
buffered output the interval alone sets the number of checkpoints, whatever the clients do. For checkpoints on
demand and periodic ones as the two ends of one scale see Dong et al., "COLO: COarse-grained LOck-stepping
Virtual Machines for Non-stop Service", SoCC 2013. Only a trial shows whether replies agree again, so the wait
before each next trial grows while trials fail.
"""

import dataclasses

from nova_colo.pair.checkpoint_stats import Checkpoint
from nova_colo.pair.model import Cause, Mode


@dataclasses.dataclass(frozen=True)
class Rule:
    """The thresholds of mode changes.

    :param run: this many short COLO intervals in a row change the pair to checkpoint mode
    :param short_s: a COLO interval, from one checkpoint to the mismatch after it, is short below this many
        seconds. At the interval of periodic checkpoints COLO takes as many of them, and no longer pays
    :param first_wait_s: seconds before COLO is tried again
    :param growth: factor of the wait after a trial of COLO that failed
    :param max_wait_s: maximum of the wait, in seconds
    :param calm_s: seconds in COLO after which the wait is reset to first_wait_s
    :raises ValueError: when these contradict each other
    """

    run: int = 10
    short_s: float = 0.1
    first_wait_s: float = 10.0
    growth: float = 2.0
    max_wait_s: float = 600.0
    calm_s: float = 60.0

    def __post_init__(self) -> None:
        if self.run < 1 or self.short_s <= 0 or self.calm_s <= 0 or self.growth < 1:
            raise ValueError(
                "hybrid rule: run, short_s and calm_s must be greater than 0, and growth at least 1"
            )
        if not 0 < self.first_wait_s <= self.max_wait_s:
            raise ValueError("hybrid rule: first_wait_s must be greater than 0 and at most max_wait_s")


@dataclasses.dataclass(frozen=True)
class State:
    """The state of a pair under the hybrid policy.

    :param mode: colo or checkpoint
    :param since: when the mode was entered, in seconds since the epoch
    :param wait_s: how long this stay in checkpoint mode lasts, or the next one when the mode is colo
    :param short_run: short COLO intervals in a row up to now
    :param last: time of the last checkpoint in this stay in COLO; None before the first
    """

    mode: Mode
    since: float
    wait_s: float
    short_run: int = 0
    last: float | None = None


def begin(rule: Rule, now: float, mode: Mode = Mode.COLO) -> State:
    """Return the state of a pair whose policy has just become hybrid.

    :param mode: the pair's present mode
    """
    return State(mode, now, rule.first_wait_s)


def after_checkpoint(state: State, rule: Rule, checkpoint: Checkpoint) -> State:
    """Return the state after a checkpoint.

    A forced one does not depend on the load; a periodic one shows that replies agreed for a whole interval.
    """
    if state.mode != Mode.COLO or checkpoint.at < state.since:
        return state  # reported late: it belongs to the previous stay
    state = _reset_wait(state, rule, checkpoint.at)
    last = state.since if state.last is None else state.last
    match checkpoint.cause:
        case Cause.MISMATCH:
            run = state.short_run + 1 if checkpoint.at - last < rule.short_s else 0
            if run >= rule.run:
                return State(Mode.CHECKPOINT, checkpoint.at, state.wait_s)
        case Cause.PERIODIC:
            run = 0
        case Cause.FORCED:
            run = state.short_run
    return dataclasses.replace(state, short_run=run, last=max(checkpoint.at, last))


def at_time(state: State, rule: Rule, now: float) -> State:
    """Return the state at a time, in seconds since the epoch."""
    if now < state.since:  # the clock was set back: start the stay again
        return dataclasses.replace(state, since=now, last=None)
    if state.mode == Mode.COLO:
        return _reset_wait(state, rule, now)
    if now - state.since < state.wait_s:
        return state
    return State(Mode.COLO, now, min(state.wait_s * rule.growth, rule.max_wait_s))


def _reset_wait(state: State, rule: Rule, now: float) -> State:
    """Return the state with its first wait again when COLO has lasted for calm_s."""
    return dataclasses.replace(state, wait_s=rule.first_wait_s) if now - state.since >= rule.calm_s else state
