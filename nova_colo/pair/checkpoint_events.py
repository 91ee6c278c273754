# SPDX-License-Identifier: Apache-2.0
"""Derive checkpoints, and the cause of each, from the QMP events of a primary's QEMU in COLO.

A checkpoint is a STOP, a MIGRATION_PASS and a RESUME. QEMU numbers its passes over the memory, one per
checkpoint, so that checkpoints whose events were missed are counted too.

QEMU does not report the cause. It is derived from QEMU's timer (migration/colo.c:colo_checkpoint_notify):
every request for a checkpoint sets an event that the COLO thread waits for, and rearms the timer for
x-checkpoint-delay from then. So no checkpoint comes later than the timer, and an earlier one is a mismatch or
was requested. Setting x-checkpoint-delay requests one too (migrate_params_apply).

A request during a checkpoint is either served by it or leads to another checkpoint right after it, depending
on whether colo_do_checkpoint_transaction has already cleared the event; the timer is rearmed in both cases.
"""

import dataclasses

from nova_colo.pair.checkpoint_stats import Checkpoint, Totals
from nova_colo.pair.model import Cause

#: A checkpoint requested during another one begins within this many seconds of its end, if at all.
PROMPT_S = 0.1


@dataclasses.dataclass(frozen=True)
class Stream:
    """The state of an event stream. All times are QEMU's, in seconds since the epoch.

    Call the methods in the order of the events; each returns the stream after its event.

    :param delay_ms: the x-checkpoint-delay in force
    :param buffered: checkpoint mode: output waits for the next checkpoint, so that no replies are compared
    :param armed_at: when QEMU's timer was last armed, as far as the events show; None when unknown
    :param asked_at: when a checkpoint was requested that has not begun yet
    :param stopped: the checkpoint in progress, with no pause yet
    :param passes: the numbers of its first and its last pass; None before the first
    :param counted: the number of the last pass of the last checkpoint; None before the first checkpoint
    :param counted_at: when that checkpoint began
    :param resumed_at: time of the last RESUME
    :param gap_at: when events were received again, after some may have been missed
    :param last: the cause of the last checkpoint that was not requested
    """

    delay_ms: float
    buffered: bool = False
    armed_at: float | None = None
    asked_at: float | None = None
    stopped: Checkpoint | None = None
    passes: tuple[int, int] | None = None
    counted: int | None = None
    counted_at: float | None = None
    resumed_at: float | None = None
    gap_at: float | None = None
    last: Cause = Cause.PERIODIC

    def stop(self, at: float) -> "Stream":
        """Process STOP."""
        pending = self._pending(at)
        cause = (
            Cause.FORCED if pending.asked_at is not None and pending.asked_at <= at else pending._cause(at)
        )
        return dataclasses.replace(
            pending,
            stopped=Checkpoint(at, cause, 0.0),
            passes=None,
            armed_at=at,
            asked_at=None if cause == Cause.FORCED else pending.asked_at,
            gap_at=None,
            last=self.last if cause == Cause.FORCED else cause,
        )

    def migration_pass(self, number: int) -> "Stream":
        """Process MIGRATION_PASS."""
        return dataclasses.replace(self, passes=(self.passes[0] if self.passes else number, number))

    def resume(self, at: float) -> tuple["Stream", Checkpoint | None, Totals]:
        """Process RESUME.

        :returns: the stream; the checkpoint that has ended, or None when it was none; and the number of
            checkpoints between it and the last one whose events were missed
        """
        after = dataclasses.replace(self, stopped=None, passes=None, resumed_at=at)
        if self.stopped is None or self.passes is None:
            return after, None, Totals()
        taken = dataclasses.replace(self.stopped, pause_ms=max(at - self.stopped.at, 0.0) * 1000)
        after = dataclasses.replace(after, counted=self.passes[1], counted_at=taken.at)
        return after, taken, self._unseen(taken, *self.passes)

    def delay_set(self, at: float, delay_ms: float) -> "Stream":
        """Note that x-checkpoint-delay is about to be set: this forces a checkpoint even without a new value.

        :param at: time before the command was sent
        """
        asked = dataclasses.replace(self, delay_ms=delay_ms)
        if self._is_requested():
            return asked
        return dataclasses.replace(asked, asked_at=at)

    def forced(self, at: float) -> "Stream":
        """Note that a checkpoint is about to be requested.

        :param at: time before the command was sent
        """
        return self.delay_set(at, self.delay_ms)

    def buffering(self, on: bool) -> "Stream":
        """Note that the pair has changed to checkpoint mode, or back to COLO."""
        return dataclasses.replace(self, buffered=on)

    def reconnected(self, at: float) -> "Stream":
        """Note that events are received again; a requested checkpoint is assumed to have been missed."""
        return dataclasses.replace(self, stopped=None, passes=None, armed_at=None, asked_at=None, gap_at=at)

    def _unseen(self, taken: Checkpoint, first: int, last: int) -> Totals:
        """Return the number of checkpoints missed between the last one and the given one, by likely cause.

        :param first: the number of its first pass
        :param last: the number of its last pass
        """
        if self.counted is None or self.counted_at is None:
            return Totals()
        count = max(first - self.counted - 1, 0) // (max(last - first, 0) + 1)
        delay = self.delay_ms / 1000
        slow = (taken.at - self.counted_at) / (count + 1) >= delay - tolerance(delay)
        return Totals(periodic=count) if self.buffered or slow else Totals(mismatch=count)

    def _is_requested(self) -> bool:
        """Return whether a requested checkpoint, which serves all requests, is still to come."""
        return self.asked_at is not None and (self.resumed_at is None or self.asked_at > self.resumed_at)

    def _pending(self, at: float) -> "Stream":
        """Return the stream without a request that the last checkpoint has served."""
        asked, resumed = self.asked_at, self.resumed_at
        if asked is None or resumed is None or asked > resumed or at - resumed <= PROMPT_S:
            return self
        return dataclasses.replace(self, asked_at=None, armed_at=max(asked, self.armed_at or asked))

    def _cause(self, at: float) -> Cause:
        """Return the cause of a checkpoint that was not requested."""
        if self.buffered:
            return Cause.PERIODIC
        known = self.armed_at if self.armed_at is not None else self.gap_at
        delay = self.delay_ms / 1000
        if known is not None and at - known >= delay - tolerance(delay):
            return Cause.PERIODIC
        if self.armed_at is None or at < self.armed_at:
            # after a gap, or a step of the clock, the previous cause is the best evidence
            return self.last
        return Cause.MISMATCH


def tolerance(delay: float) -> float:
    """Return how much earlier than the timer a periodic checkpoint may appear to come, in seconds.

    STOP follows the request after the time that the secondary takes to answer. When the last STOP was later
    than usual, the next one appears early.

    :param delay: x-checkpoint-delay in seconds
    """
    return 0.002 + min(delay / 10, 0.1)


def attach(
    at: float,
    delay_ms: float,
    buffered: bool = False,
    counted: int | None = None,
    counted_at: float | None = None,
) -> Stream:
    """Return the stream of a QEMU that was in COLO before its events were received."""
    return Stream(delay_ms, buffered, gap_at=at, counted=counted, counted_at=counted_at)
