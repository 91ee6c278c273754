# SPDX-License-Identifier: Apache-2.0
"""Checkpoints out of the events of a primary's QEMU in COLO, and why each was taken.

Each is a STOP, a MIGRATION_PASS and a RESUME. QEMU numbers its passes over the memory, one for each checkpoint, so that those are
known too of which nothing was heard.

QEMU does not say why. It is told from its timer (migration/colo.c:colo_checkpoint_notify): whatever asks for a checkpoint sets
an event that the COLO thread waits for, and arms the timer anew for x-checkpoint-delay from then. So nothing comes later than
the timer, and what comes earlier is a mismatch or was asked for. Setting x-checkpoint-delay asks for one, too
(migrate_params_apply).

What is asked for while a checkpoint is under way is either part of it or leads to another one right after it, depending on
whether colo_do_checkpoint_transaction has already cleared the event; the timer is armed anew in both cases.
"""

import dataclasses

from nova_colo.pair.checkpoint_stats import Checkpoint, Totals
from nova_colo.pair.model import Cause

#: A checkpoint that was asked for during another one begins within so many seconds of its end, if at all.
PROMPT_S = 0.1


@dataclasses.dataclass(frozen=True)
class Stream:
    """What has been seen of the events up to now. All times are QEMU's, in seconds since the epoch.

    The methods are to be called in the order in which things happened, and return the stream after that.

    :param delay_ms: the x-checkpoint-delay in force
    :param buffered: checkpoint mode: output waits for the next checkpoint, so that no replies are compared
    :param armed_at: when QEMU's timer was last armed, as far as can be seen; None when that is not known
    :param asked_at: when a checkpoint was asked for that has not been seen yet
    :param stopped: the checkpoint that is under way, with no pause yet
    :param passes: the numbers of its first and its last pass; None before the first
    :param counted: the number of the last pass of the last checkpoint; None when none has been seen
    :param counted_at: when that checkpoint began
    :param resumed_at: when the guest was last seen to run again
    :param gap_at: since when events are seen again, after some may have been missed
    :param last: the cause of the last checkpoint that nobody had asked for
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
        """QEMU has sent STOP."""
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

    def passed(self, number: int) -> "Stream":
        """QEMU has sent MIGRATION_PASS."""
        return dataclasses.replace(self, passes=(self.passes[0] if self.passes else number, number))

    def resume(self, at: float) -> tuple["Stream", Checkpoint | None, Totals]:
        """QEMU has sent RESUME.

        :returns: also the checkpoint that is over now, or None when it was not one; and how many there were between it and the
            last one, of which not everything was seen
        """
        after = dataclasses.replace(self, stopped=None, passes=None, resumed_at=at)
        if self.stopped is None or self.passes is None:
            return after, None, Totals()
        taken = dataclasses.replace(self.stopped, pause_ms=max(at - self.stopped.at, 0.0) * 1000)
        after = dataclasses.replace(after, counted=self.passes[1], counted_at=taken.at)
        return after, taken, self._unseen(taken, *self.passes)

    def delay_set(self, at: float, delay_ms: float) -> "Stream":
        """x-checkpoint-delay is about to be set, which forces a checkpoint even when it is what it was.

        :param at: before the command was sent
        """
        asked = dataclasses.replace(self, delay_ms=delay_ms)
        if self._will_come():
            return asked
        return dataclasses.replace(asked, asked_at=at)

    def forced(self, at: float) -> "Stream":
        """A checkpoint is about to be asked for.

        :param at: before the command was sent
        """
        return self.delay_set(at, self.delay_ms)

    def buffering(self, on: bool) -> "Stream":
        """The pair has changed to checkpoint mode, or back to COLO."""
        return dataclasses.replace(self, buffered=on)

    def reconnected(self, at: float) -> "Stream":
        """Events are seen again; some may have been missed. What was asked for before is taken to be among them."""
        return dataclasses.replace(self, stopped=None, passes=None, armed_at=None, asked_at=None, gap_at=at)

    def _unseen(self, taken: Checkpoint, first: int, last: int) -> Totals:
        """Return how many checkpoints there were between the last one and one that is over, by likely causes.

        :param first, last: the numbers of its passes
        """
        if self.counted is None or self.counted_at is None:
            return Totals()
        count = max(first - self.counted - 1, 0) // (max(last - first, 0) + 1)
        delay = self.delay_ms / 1000
        slow = (taken.at - self.counted_at) / (count + 1) >= delay - tolerance(delay)
        return Totals(periodic=count) if self.buffered or slow else Totals(mismatch=count)

    def _will_come(self) -> bool:
        """Return whether one that was asked for cannot have been part of the last checkpoint; it serves all who ask."""
        return self.asked_at is not None and (self.resumed_at is None or self.asked_at > self.resumed_at)

    def _pending(self, at: float) -> "Stream":
        """Return the stream without what was asked for during the last checkpoint and was part of it."""
        asked, resumed = self.asked_at, self.resumed_at
        if asked is None or resumed is None or asked > resumed or at - resumed <= PROMPT_S:
            return self
        return dataclasses.replace(self, asked_at=None, armed_at=max(asked, self.armed_at or asked))

    def _cause(self, at: float) -> Cause:
        """Return why a checkpoint that nobody has asked for was taken."""
        if self.buffered:
            return Cause.PERIODIC
        known = self.armed_at if self.armed_at is not None else self.gap_at
        delay = self.delay_ms / 1000
        if known is not None and at - known >= delay - tolerance(delay):
            return Cause.PERIODIC
        if self.armed_at is None or at < self.armed_at:
            return (
                self.last
            )  # after a gap, or a step of the clock: there is no better evidence than what went before
        return Cause.MISMATCH


def tolerance(delay: float) -> float:
    """Return how much earlier than the timer a periodic checkpoint may seem to come, in seconds.

    STOP follows the request by as long as the secondary takes to answer it. Where the last STOP was later than usual, the next
    one seems early.

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
    """Return the stream of a QEMU that has been in COLO before its events were seen."""
    return Stream(delay_ms, buffered, gap_at=at, counted=counted, counted_at=counted_at)
