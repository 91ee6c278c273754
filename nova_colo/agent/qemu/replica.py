# SPDX-License-Identifier: Apache-2.0
"""One replica of a pair as its host sees it: its events are counted, and now and then its QEMU is looked at."""

import contextlib
import dataclasses
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from oslo_log import log as logging

from nova_colo.agent.qemu import process_watch
from nova_colo.agent.qemu.fencing import Fence
from nova_colo.agent.qemu.peer_probe import Reach
from nova_colo.agent.qemu.qmp import migration, netfilter, virtio
from nova_colo.agent.qemu.qmp.client import Event, GoneError, Guest, SilentError
from nova_colo.agent.qemu.state_store import Record, Stage
from nova_colo.agent.replication import ReplicationError, Report
from nova_colo.pair import checkpoint_events, hybrid, link_health, reasons
from nova_colo.pair.checkpoint_history import Ledger
from nova_colo.pair.checkpoint_stats import Totals
from nova_colo.pair.model import Cause, Mode
from nova_colo.pair.reasons import Reason

LOG = logging.getLogger(__name__)

#: Steps of protecting that the engine has done before ours.
STEPS_BEFORE, STEPS = 2, 4
#: Seconds between two announcements of a guest that runs alone. One that was cut off may answer who asks for its address: QEMU
#: lets pass what it cannot compare (colo-compare.c:packet_enqueue). Switches then send to it what is the guest's.
ANNOUNCE_S = 5.0
#: Seconds that the host of the primary before may take to say that its QEMU has ended.
FIRE_S = 0.05
#: Seconds from one look to libvirt's next answer, from which on events may have been missed: it was away, or stood still.
DEAF_S = 3.0


class Replica:
    """A replica. Its methods may be called from any thread.

    :param is_there: whether its QEMU is; None when libvirt does not answer
    :param keep: writes its record
    :param rule: when a pair under the policy hybrid changes its mode
    :param thresholds: what is thought of the replication link
    """

    def __init__(
        self,
        record: Record,
        guest: Guest,
        reach: Reach,
        is_there: Callable[[], bool | None],
        keep: Callable[[Record], None],
        rule: hybrid.Rule,
        thresholds: link_health.Thresholds,
    ):
        self.record = record
        self.guest = guest
        self._reach = reach
        self._is_there = is_there
        self._keep = keep
        self._lock = threading.RLock()
        self._running = True
        self._silent = False
        self._lost = False
        self._link: link_health.Link | None = None
        self._progress: tuple[str, int, int] | None = None
        self._stream: checkpoint_events.Stream | None = None
        self._checkpoint_at: float | None = None
        self._devices_seen_at: float | None = None
        self._switched_off: list[str] = []
        self._armed: socket.socket | None = None
        self._unarmed: Reason | None = None  # why not
        self._holding = threading.Lock()
        self._held: bool | None = None  # not known of a QEMU that was there before this agent
        self._met_twin = False  # since it was held
        self._stood_still_ms: float | None = None
        self._announce_at = 0.0
        self._looked_at = time.monotonic()
        self.ledger = Ledger.restore(record.ledger) if record.ledger else Ledger(time.time())
        self._changed = False
        self._rule = rule
        self._thresholds = thresholds
        self.called_off = threading.Event()  # the making of the pair
        self._hybrid: hybrid.State | None = None
        if record.stage == Stage.IN_STEP:
            counted = record.counted, self.ledger.last_at
            self._stream = checkpoint_events.attach(time.time(), record.delay_ms, record.buffered, *counted)
            self._checkpoint_at = time.time()
            self._begin_hybrid()

    # --- what it is told

    def save(self, **values: Any) -> None:
        """Set values of its record, and keep it."""
        with self._lock:
            for name, value in values.items():
                setattr(self.record, name, value)
            self._write()

    def close(self) -> None:
        """Write its record no more: it is about to be removed, while it may just be looked at."""
        with self._lock:
            self._keep = lambda record: None
            self._disarm()

    def _write(self) -> None:
        if self.record.primary:
            self.record.ledger = self.ledger.record()
        self._keep(self.record)
        self._changed = False

    def count_from(self, totals: dict[str, int]) -> None:
        """Begin to count checkpoints, after those that the server has had before."""
        with self._lock:
            self.ledger = Ledger(time.time(), Totals(**totals))

    def show(self, stage: str, step: int, percent: int = 0) -> None:
        """Show how far the making of the pair is."""
        with self._lock:
            self._progress = (stage, step, percent)

    def begins(self) -> None:
        """It is in COLO, and the first checkpoint that counts is about to be forced."""
        with self._lock:
            now = time.time()
            self._lost, self._checkpoint_at, self.record.counted = False, None, None
            self._stream = checkpoint_events.attach(now, self.record.delay_ms, self.record.buffered).forced(
                now
            )

    def in_step(self, stood_still_ms: float | None = None) -> None:
        """It runs in step with its twin.

        :param stood_still_ms: for how long it stood still until then
        """
        with self._lock:
            self._stood_still_ms = stood_still_ms
            if not self.record.primary:
                self._lost = False  # what was lost before was the twin of a QEMU that this one has replaced
            self._progress, self._checkpoint_at = None, time.time()
            self.save(stage=Stage.IN_STEP, error=None)
            self._begin_hybrid()

    def parted(self, error: Reason | None = None) -> None:
        """It has no twin any more."""
        with self._lock:
            self._progress, self._stream, self._link, self._hybrid = None, None, None, None
            self._lost, self._switched_off = False, []
            self._disarm()
            self.save(stage=Stage.PARTED, error=error.data() if error else None)
        self._hold_back(False)

    def _begin_hybrid(self) -> None:
        record = self.record
        wanted = record.primary and record.policy == Mode.HYBRID and record.stage == Stage.IN_STEP
        if wanted and self._hybrid is None:
            self._rule = dataclasses.replace(self._rule, short_s=record.interval_ms / 1000)
            self._hybrid = hybrid.begin(self._rule, time.time(), Mode(record.mode))
        elif not wanted:
            self._hybrid = None

    def pace(self, delay_ms: int, mode: str, policy: str, interval_ms: int) -> None:
        """Its pace is about to be changed."""
        with self._lock:
            now = time.time()
            self.save(delay_ms=delay_ms, mode=mode, policy=policy, interval_ms=interval_ms)
            if self._stream is not None:
                self._stream = self._stream.delay_set(now, delay_ms).buffering(self.record.buffered)
            self._begin_hybrid()

    def reconnected(self) -> None:
        """Events are heard again, after some may have been missed."""
        with self._lock:
            self._was_deaf()
            if self._stream is not None:
                self._stream = self._stream.reconnected(time.time())

    def _was_deaf(self) -> None:
        """Take it that there was a checkpoint just now: that none was heard of does not tell that there was none."""
        if self._checkpoint_at is not None:
            self._checkpoint_at = time.time()

    def ended(self) -> None:
        """Its QEMU has ended."""
        with self._lock:
            self._running = False
            self._disarm()

    def heard(self, event: Event) -> None:
        """Take an event of its QEMU in."""
        with self._lock:
            match event.name:
                case "COLO_EXIT":
                    LOG.info("Server %s is in COLO no more.", self.record.server_id)
                    self._lost = True
                case "STOP" if self._stream is not None:
                    self._stream = self._stream.stop(event.at)
                case "MIGRATION_PASS" if self._stream is not None:
                    self._stream = self._stream.passed(event.data["pass"])
                case "RESUME":
                    self._checkpoint_at, self._met_twin = event.at, True
                    if self._stream is None:
                        return
                    self._stream, taken, unseen = self._stream.resume(event.at)
                    if taken is not None:
                        self.ledger.add(taken, time.time(), unseen)
                        self.record.counted = self._stream.counted
                        self._changed = True
                        if self._hybrid is not None:
                            self._hybrid = hybrid.taken(self._hybrid, self._rule, taken)

    # --- that a primary can be ended from its twin's host

    def fire(self) -> None:
        """End the primary, whose twin this is and which may run still. It is said again at each look, until it has ended."""
        if self.record.fence is not None:
            self.save(firing=self.record.fence)
            Fence(**self.record.fence).fire(0)

    def fire_again(self) -> None:
        """Say again that the primary before this one is to end, unless its host has said that it has."""
        firing = self.record.firing
        if firing is None or not Fence(**firing).fire(FIRE_S):
            return
        with self._lock:
            if self.record.firing == firing:
                LOG.info("The primary of %s before this one has ended.", self.record.server_id)
                self.save(firing=None)

    def _arm(self, fence: Fence) -> None:
        try:
            process = process_watch.process_of(self.guest)
        except OSError:
            return  # it has just ended
        with self._lock:
            if self._armed is not None or self.record.stage != Stage.IN_STEP:
                return
            try:
                self._armed, self._unarmed = fence.arm(process), None
            except ReplicationError as error:
                if self._unarmed != error.reason:
                    LOG.warning(
                        "The primary of %s cannot be ended from its peer's host: %s",
                        self.record.server_id,
                        error,
                    )
                self._unarmed = error.reason

    def _disarm(self) -> None:
        if self._armed is not None:
            self._armed.close()
        self._armed, self._unarmed = None, None

    # --- what it looks like

    def is_cut_off(self) -> bool:
        """Return whether its twin's host has become silent since the last look: no need to wait for the next one."""
        with self._lock:
            peer, now = self.record.peer, self._link
        return (
            now is not None
            and now.up is True
            and peer is not None
            and self._reach.age(peer) > self._thresholds.silent_s
        )

    def look(self) -> bool:
        """Look at its QEMU; takes as long as a command may at most. Returns whether the link was lost since the last look."""
        there = self._is_there()
        if there is None:
            return False  # libvirt is away, and QEMU runs on without it
        with self._lock:
            if time.monotonic() - self._looked_at > DEAF_S:
                self._was_deaf()
        seen: dict[str, bool] | None = None
        silent = False
        if there:
            try:
                seen = self._see()
            except SilentError:
                silent = True
            except GoneError:
                there = self._is_there() is not False
            except ReplicationError:
                pass  # it is being changed at this moment
        with self._lock:
            self._looked_at = time.monotonic()
            self._running, self._silent = there, silent
            was_up = self._link is not None and self._link.up is True
            if self.record.stage == Stage.IN_STEP:
                self._judge(link_health.assess(self._signs(seen or {}), self._thresholds))
            if self._hybrid is not None:
                self._hybrid = hybrid.passed(self._hybrid, self._rule, time.time())
            if self._changed:
                self._write()
            is_down = self._link is not None and not self._link.up
        self._hold_back(is_down)
        return was_up and is_down

    def _hold_back(self, wanted: bool) -> None:
        """Let nothing out of a primary that has lost its twin, until it has the twin again, or the grant to go on alone.

        What can be compared waits by itself. But the twin may have been promoted by now, and then two would answer ARP. That a
        link is back does not tell; a checkpoint does.
        """
        with self._holding:
            in_pair = self.record.stage == Stage.IN_STEP
            if not self.record.primary or wanted == self._held or (wanted and not in_pair):
                return
            if not wanted and in_pair and not self._met_twin:
                return
            with contextlib.suppress(
                ReplicationError
            ):  # it is gone, silent, or being changed; it is looked at again
                self._met_twin = self._met_twin and not wanted
                netfilter.hold(self.guest, wanted)
                self._held = wanted

    def _judge(self, now: link_health.Link) -> None:
        """Keep what to think of the link, and log when that it works has changed."""
        before, self._link = self._link, now
        if before is not None and before.up != now.up:
            why = " ".join(map(str, now.reasons))
            LOG.info(
                "The replication link of %s is %s. %s", self.record.server_id, "up" if now.up else "down", why
            )

    def _see(self) -> dict[str, bool]:
        if (
            self.record.primary
            and self.record.stage == Stage.PARTED
            and time.monotonic() >= self._announce_at
        ):
            self._announce_at = time.monotonic() + ANNOUNCE_S
            netfilter.announce(self.guest)
        if (
            not self.record.primary
            and self.record.stage == Stage.STARTING
            and migration.is_in_colo(self.guest)
        ):
            self.in_step()
        if self.record.stage != Stage.IN_STEP:
            return {}
        if self.record.primary and self.record.fence is not None and self._armed is None:
            self._arm(Fence(**self.record.fence))
        if not self.record.primary and self._devices_seen_at != self._checkpoint_at:
            self._devices_seen_at = self._checkpoint_at
            self._look_at_devices()
        return netfilter.connections(self.guest)

    def _look_at_devices(self) -> None:
        self._switched_off = virtio.switched_off(self.guest)
        if self._switched_off:
            LOG.warning(
                "The secondary of %s is reset: %s switched off.",
                self.record.server_id,
                ", ".join(self._switched_off),
            )
            virtio.reset(self.guest)

    def _signs(self, chardevs: dict[str, bool]) -> link_health.Signs:
        now = time.time()
        figures = self.ledger.figures(now)
        age = self._reach.age(self.record.peer) if self.record.peer else None
        since = self._checkpoint_at
        return link_health.Signs(
            chardevs=chardevs,
            heartbeat_age_s=age,
            pause_p99_ms=figures["pause_ms"]["p99"],
            mismatches_per_min=self.ledger.rate(now, Cause.MISMATCH),
            checkpoint_age_s=now - since if since else None,
            checkpoint_delay_s=self.record.delay_ms / 1000,
        )

    def report(self, paired: bool) -> Report:
        """Return how it does, as of the last look.

        :param paired: it is supposed to have a twin
        """
        with self._lock:
            running = self._running and not self._silent
            if not paired:
                return Report(running)
            up, progress = self._link.up if self._link else None, None
            if self.record.stage in (Stage.OFFERED, Stage.STARTING):
                up = None
                stage, step, percent = self._progress or (reasons.WAITING_FOR_PRIMARY.code, STEPS_BEFORE, 0)
                progress = {"stage": stage, "step": step, "of": STEPS, "percent": percent}
            elif self._lost or self.record.stage == Stage.PARTED:
                up = False
            figures = (
                self.ledger.figures(time.time())
                if self.record.primary and self.record.stage == Stage.IN_STEP
                else None
            )
            troubles = list(self._link.reasons) if self._link else []
            if self._switched_off:
                troubles.append(reasons.DEVICES_OFF(devices=self._switched_off))
            if self._unarmed is not None:
                troubles.append(reasons.FENCE_UNARMED(error=self._unarmed))
            mode = self._hybrid.mode.value if self._hybrid else None
            error = reasons.read(self.record.error)
            return Report(running, up, progress, figures, error, troubles, self._stood_still_ms, mode)
