# SPDX-License-Identifier: Apache-2.0
"""The state of a replica, as its agent derives it from QEMU's events and polls: values and transitions."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any, Self

from nova_colo.pair import checkpoint_events
from nova_colo.pair import hybrid as hybrid_rule
from nova_colo.pair.checkpoint_stats import Checkpoint, Totals
from nova_colo.pair.link_health import Link
from nova_colo.pair.model import Mode


class Stage(enum.StrEnum):
    """The stage of a replica.

    ``offered``: ports are reserved, QEMU is unchanged; ``starting``: the pair is being created; ``in_step``:
    it is in sync; ``parted``: the peer was lost, or the pair could not be created.
    """

    OFFERED = "offered"
    STARTING = "starting"
    IN_SYNC = "in_step"
    DISCONNECTED = "parted"


@dataclasses.dataclass(frozen=True)
class Setting:
    """Settings of a replica that its state depends on.

    :param policy: colo, checkpoint or hybrid
    :param mode: colo or checkpoint
    :param interval_ms: milliseconds between two periodic checkpoints in mode checkpoint
    :param delay_ms: x-checkpoint-delay
    """

    primary: bool
    stage: Stage
    policy: str
    mode: str
    interval_ms: int
    delay_ms: int

    @property
    def buffered(self) -> bool:
        """Whether the guest's output waits for the next checkpoint, as in mode checkpoint."""
        return self.mode == Mode.CHECKPOINT


@dataclasses.dataclass(frozen=True)
class Progress:
    """The progress of the creation of a pair.

    :param stage: a code of :mod:`nova_colo.pair.reasons`
    """

    stage: str
    step: int
    percent: int = 0


@dataclasses.dataclass(frozen=True)
class ReplicaState:
    """The state of a replica. Each transition returns the state after it.

    Times are in seconds since the epoch.

    :param running: its QEMU exists
    :param silent: its QEMU does not answer
    :param unseen: libvirt does not answer
    :param peer_lost: its QEMU has left COLO
    :param link: the assessment of the link at the last poll; None before the first one in sync
    :param progress: of the creation of the pair; None before its first step, and when it is in sync
    :param stream: the events of its QEMU; None when it is not in COLO
    :param checkpoint_at: when the last checkpoint ended, or replication began; None before that
    :param pause_ms: for how long the guest was paused when the pair was created; None when not measured
    :param hybrid: None unless it is a primary in sync under the policy hybrid
    """

    running: bool = True
    silent: bool = False
    unseen: bool = False
    peer_lost: bool = False
    link: Link | None = None
    progress: Progress | None = None
    stream: checkpoint_events.Stream | None = None
    checkpoint_at: float | None = None
    pause_ms: float | None = None
    hybrid: hybrid_rule.State | None = None

    # --- changes by the agent

    def attached(
        self,
        now: float,
        setting: Setting,
        rule: hybrid_rule.Rule,
        counted: int | None,
        counted_at: float | None,
    ) -> Self:
        """Begin to count events, since an agent was started.

        :param counted: the number that QEMU gave to the last checkpoint that was counted
        :param counted_at: when that checkpoint began
        """
        if setting.stage != Stage.IN_SYNC:
            return self
        stream = checkpoint_events.attach(now, setting.delay_ms, setting.buffered, counted, counted_at)
        return dataclasses.replace(self, stream=stream, checkpoint_at=now)._with_hybrid(now, setting, rule)

    def colo_started(self, now: float, setting: Setting) -> Self:
        """Begin to count checkpoints: QEMU is in COLO, and the first one is about to be forced."""
        stream = checkpoint_events.attach(now, setting.delay_ms, setting.buffered).forced(now)
        return dataclasses.replace(self, peer_lost=False, checkpoint_at=None, stream=stream)

    def in_sync(
        self, now: float, setting: Setting, rule: hybrid_rule.Rule, pause_ms: float | None = None
    ) -> Self:
        """Note that the replica is in sync with its peer."""
        # an earlier QEMU of a secondary may have left COLO: it was the peer of that one
        lost = self.peer_lost and setting.primary
        synced = dataclasses.replace(
            self, peer_lost=lost, progress=None, checkpoint_at=now, pause_ms=pause_ms
        )
        return synced._with_hybrid(now, setting, rule)

    def disconnected(self) -> Self:
        """Note that the replica has no peer any more."""
        return dataclasses.replace(self, peer_lost=False, link=None, progress=None, stream=None, hybrid=None)

    def parameters_set(self, now: float, setting: Setting, rule: hybrid_rule.Rule) -> Self:
        """Note that checkpoint parameters are about to be set in QEMU."""
        stream = self.stream and self.stream.delay_set(now, setting.delay_ms).buffering(setting.buffered)
        return dataclasses.replace(self, stream=stream)._with_hybrid(now, setting, rule)

    def progressed(self, progress: Progress) -> Self:
        """Note a step of the creation of the pair."""
        return dataclasses.replace(self, progress=progress)

    # --- events and polls

    def ended(self) -> Self:
        """Note that the QEMU has ended."""
        return dataclasses.replace(self, running=False)

    def event(self, name: str, at: float, data: Mapping[str, Any]) -> tuple[Self, Checkpoint | None, Totals]:
        """Process an event of the QEMU.

        :param at: QEMU's own time
        :returns: the state; the checkpoint that has ended, if any; and the number of checkpoints before it
            whose events were missed
        """
        match name:
            case "COLO_EXIT":
                return dataclasses.replace(self, peer_lost=True), None, Totals()
            case "STOP" if self.stream is not None:
                return dataclasses.replace(self, stream=self.stream.stop(at)), None, Totals()
            case "MIGRATION_PASS" if self.stream is not None:
                return (
                    dataclasses.replace(self, stream=self.stream.migration_pass(data["pass"])),
                    None,
                    Totals(),
                )
            case "RESUME":
                resumed = dataclasses.replace(self, checkpoint_at=at)
                if self.stream is None:
                    return resumed, None, Totals()
                stream, taken, unseen = self.stream.resume(at)
                return dataclasses.replace(resumed, stream=stream), taken, unseen
        return self, None, Totals()

    def counted(self, rule: hybrid_rule.Rule, checkpoint: Checkpoint) -> Self:
        """Apply the hybrid rule to a checkpoint: it may change the mode."""
        if self.hybrid is None:
            return self
        return dataclasses.replace(self, hybrid=hybrid_rule.after_checkpoint(self.hybrid, rule, checkpoint))

    def reconnected(self, now: float) -> Self:
        """Note that events are received again, after a gap in which some may have been missed."""
        return dataclasses.replace(
            self.checkpoint_assumed(now), stream=self.stream and self.stream.reconnected(now)
        )

    def checkpoint_assumed(self, now: float) -> Self:
        """Assume a checkpoint just now: that no event arrived does not prove the opposite."""
        return self if self.checkpoint_at is None else dataclasses.replace(self, checkpoint_at=now)

    def polled(
        self, now: float, rule: hybrid_rule.Rule, *, running: bool, silent: bool, link: Link | None
    ) -> Self:
        """Take over the results of a poll.

        :param link: the assessment of its link; None to keep the last one
        """
        return dataclasses.replace(
            self,
            running=running,
            silent=silent,
            unseen=False,
            link=link or self.link,
            hybrid=self.hybrid and hybrid_rule.at_time(self.hybrid, rule, now),
        )

    def not_polled(self) -> Self:
        """Note that libvirt does not answer, which does not affect QEMU."""
        return dataclasses.replace(self, unseen=True)

    # --- conclusions

    def link_up(self, stage: Stage) -> bool | None:
        """Return whether the link works; None while that is unknown, or the pair is being created."""
        if stage in (Stage.OFFERED, Stage.STARTING):
            return None
        if self.peer_lost or stage == Stage.DISCONNECTED:
            return False
        return self.link.up if self.link else None

    @property
    def last_counted(self) -> int | None:
        """The number that QEMU gave to the last checkpoint; None before that."""
        return self.stream.counted if self.stream else None

    @property
    def is_link_up(self) -> bool:
        """Whether the link worked at the last poll."""
        return self.link is not None and self.link.up is True

    @property
    def is_link_down(self) -> bool:
        """Whether the link did not work at the last poll, or it was unknown whether it did."""
        return self.link is not None and not self.link.up

    def _with_hybrid(self, now: float, setting: Setting, rule: hybrid_rule.Rule) -> Self:
        if not (setting.primary and setting.policy == Mode.HYBRID and setting.stage == Stage.IN_SYNC):
            return dataclasses.replace(self, hybrid=None)
        if self.hybrid is not None:
            return self
        return dataclasses.replace(self, hybrid=hybrid_rule.begin(rule, now, Mode(setting.mode)))
