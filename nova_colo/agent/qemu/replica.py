# SPDX-License-Identifier: Apache-2.0
"""One replica of a pair on its host: counts the events of its QEMU, polls it, and reports its state."""

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
from nova_colo.agent.qemu.peer_probe import PeerProbe
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

#: Steps of protecting a server that the engine takes before the agent's first, and all of them.
STEPS_BEFORE, STEPS = 2, 4
#: Seconds between two announcements of an unprotected guest. A former primary that was cut off may reply to
#: ARP requests for its address, since QEMU passes on what it cannot compare (colo-compare.c:packet_enqueue).
#: Switches then send the guest's packets there.
ANNOUNCE_S = 5.0
#: Seconds that the former primary's host may take to confirm that its QEMU has ended.
FENCE_REPLY_S = 0.05
#: Seconds between a poll and libvirt's next answer after which events may have been missed: libvirt was away,
#: or blocked.
EVENT_GAP_S = 3.0


class Replica:
    """A replica. Its methods may be called from any thread.

    :param has_qemu: returns whether its QEMU exists; None when libvirt does not answer
    :param store: writes its record
    :param rule: when a pair under the policy hybrid changes its mode
    :param thresholds: when the replication link counts as slow or down
    """

    def __init__(
        self,
        record: Record,
        guest: Guest,
        peer_probe: PeerProbe,
        has_qemu: Callable[[], bool | None],
        store: Callable[[Record], None],
        rule: hybrid.Rule,
        thresholds: link_health.Thresholds,
    ):
        self.record = record
        self.guest = guest
        self._peer_probe = peer_probe
        self._has_qemu = has_qemu
        self._store = store
        self._lock = threading.RLock()
        self._running = True
        self._silent = False
        self._peer_lost = False
        self._link: link_health.Link | None = None
        self._progress: tuple[str, int, int] | None = None
        self._stream: checkpoint_events.Stream | None = None
        self._checkpoint_at: float | None = None
        self._devices_checked_at: float | None = None
        self._disabled_devices: list[str] = []
        self._armed: socket.socket | None = None
        self._arm_error: Reason | None = None
        self._egress_lock = threading.Lock()
        self._egress_blocked: bool | None = None  # unknown for a QEMU that was started before this agent
        self._resumed_since_block = False
        self._pause_ms: float | None = None
        self._announce_at = 0.0
        self._polled_at = time.monotonic()
        self.ledger = Ledger.restore(record.ledger) if record.ledger else Ledger(time.time())
        self._changed = False
        self._rule = rule
        self._thresholds = thresholds
        self.cancelled = threading.Event()  # the creation of the pair
        self._hybrid: hybrid.State | None = None
        if record.stage == Stage.IN_SYNC:
            counted = record.counted, self.ledger.last_at
            self._stream = checkpoint_events.attach(time.time(), record.delay_ms, record.buffered, *counted)
            self._checkpoint_at = time.time()
            self._begin_hybrid()

    # --- changes by the agent, and events

    def save(self, **values: Any) -> None:
        """Set values of the record, and write it."""
        with self._lock:
            for name, value in values.items():
                setattr(self.record, name, value)
            self._write()

    def close(self) -> None:
        """Stop writing the record: it is about to be deleted, possibly during a poll."""
        with self._lock:
            self._store = lambda record: None
            self._disarm()

    def _write(self) -> None:
        if self.record.primary:
            self.record.ledger = self.ledger.record()
        self._store(self.record)
        self._changed = False

    def count_from(self, totals: dict[str, int]) -> None:
        """Start a new ledger that continues the server's totals of earlier checkpoints."""
        with self._lock:
            self.ledger = Ledger(time.time(), Totals(**totals))

    def set_progress(self, stage: str, step: int, percent: int = 0) -> None:
        """Set the progress that is reported while the pair is being created."""
        with self._lock:
            self._progress = (stage, step, percent)

    def on_colo_started(self) -> None:
        """Begin to count checkpoints: QEMU is in COLO, and the first checkpoint is about to be forced."""
        with self._lock:
            now = time.time()
            self._peer_lost, self._checkpoint_at, self.record.counted = False, None, None
            self._stream = checkpoint_events.attach(now, self.record.delay_ms, self.record.buffered).forced(
                now
            )

    def on_in_sync(self, pause_ms: float | None = None) -> None:
        """Record that the replica is in sync with its peer.

        :param pause_ms: for how long the guest was paused until then
        """
        with self._lock:
            self._pause_ms = pause_ms
            if not self.record.primary:
                self._peer_lost = False  # it was the peer of this server's former QEMU
            self._progress, self._checkpoint_at = None, time.time()
            self.save(stage=Stage.IN_SYNC, error=None)
            self._begin_hybrid()

    def on_disconnected(self, error: Reason | None = None) -> None:
        """Record that the replica has no peer any more.

        :param error: why the pair could not be created
        """
        with self._lock:
            self._progress, self._stream, self._link, self._hybrid = None, None, None, None
            self._peer_lost, self._disabled_devices = False, []
            self._disarm()
            self.save(stage=Stage.DISCONNECTED, error=error.data() if error else None)
        self._block_egress(False)

    def _begin_hybrid(self) -> None:
        record = self.record
        wanted = record.primary and record.policy == Mode.HYBRID and record.stage == Stage.IN_SYNC
        if wanted and self._hybrid is None:
            self._rule = dataclasses.replace(self._rule, short_s=record.interval_ms / 1000)
            self._hybrid = hybrid.begin(self._rule, time.time(), Mode(record.mode))
        elif not wanted:
            self._hybrid = None

    def set_parameters(self, delay_ms: int, mode: str, policy: str, interval_ms: int) -> None:
        """Record new checkpoint parameters, which are about to be set in QEMU."""
        with self._lock:
            now = time.time()
            self.save(delay_ms=delay_ms, mode=mode, policy=policy, interval_ms=interval_ms)
            if self._stream is not None:
                self._stream = self._stream.delay_set(now, delay_ms).buffering(self.record.buffered)
            self._begin_hybrid()

    def on_reconnect(self) -> None:
        """Continue to count events after a gap, in which some may have been missed."""
        with self._lock:
            self._assume_checkpoint()
            if self._stream is not None:
                self._stream = self._stream.reconnected(time.time())

    def _assume_checkpoint(self) -> None:
        """Assume that a checkpoint was taken just now: that no event arrived does not prove the opposite."""
        if self._checkpoint_at is not None:
            self._checkpoint_at = time.time()

    def on_ended(self) -> None:
        """Record that the QEMU has ended."""
        with self._lock:
            self._running = False
            self._disarm()

    def on_event(self, event: Event) -> None:
        """Process an event of the QEMU."""
        with self._lock:
            match event.name:
                case "COLO_EXIT":
                    LOG.info("Server %s has left COLO.", self.record.server_id)
                    self._peer_lost = True
                case "STOP" if self._stream is not None:
                    self._stream = self._stream.stop(event.at)
                case "MIGRATION_PASS" if self._stream is not None:
                    self._stream = self._stream.passed(event.data["pass"])
                case "RESUME":
                    self._checkpoint_at, self._resumed_since_block = event.at, True
                    if self._stream is None:
                        return
                    self._stream, taken, unseen = self._stream.resume(event.at)
                    if taken is not None:
                        self.ledger.add(taken, time.time(), unseen)
                        self.record.counted = self._stream.counted
                        self._changed = True
                        if self._hybrid is not None:
                            self._hybrid = hybrid.taken(self._hybrid, self._rule, taken)

    # --- fencing of a primary from its peer's host

    def trigger_fence(self) -> None:
        """Trigger the fence of this secondary's primary, which may still run.

        Each poll repeats it until the primary has ended.
        """
        if self.record.fence is not None:
            self.save(firing=self.record.fence)
            Fence(**self.record.fence).trigger(0)

    def retrigger_fence(self) -> None:
        """Trigger the fence of the former primary again, unless its host has confirmed that it has ended."""
        firing = self.record.firing
        if firing is None or not Fence(**firing).trigger(FENCE_REPLY_S):
            return
        with self._lock:
            if self.record.firing == firing:
                LOG.info("The former primary of server %s has ended.", self.record.server_id)
                self.save(firing=None)

    def _arm(self, fence: Fence) -> None:
        try:
            process = process_watch.process_of(self.guest)
        except OSError:
            return  # QEMU has just ended
        with self._lock:
            if self._armed is not None or self.record.stage != Stage.IN_SYNC:
                return
            try:
                self._armed, self._arm_error = fence.arm(process), None
            except ReplicationError as error:
                if self._arm_error != error.reason:
                    LOG.warning(
                        "Failed to arm the fence of server %s: %s",
                        self.record.server_id,
                        error,
                    )
                self._arm_error = error.reason

    def _disarm(self) -> None:
        if self._armed is not None:
            self._armed.close()
        self._armed, self._arm_error = None, None

    # --- polls and reports

    def is_peer_silent(self) -> bool:
        """Return whether the peer's host has become silent since the last poll: one is due at once."""
        with self._lock:
            peer, now = self.record.peer, self._link
        return (
            now is not None
            and now.up is True
            and peer is not None
            and self._peer_probe.age(peer) > self._thresholds.silent_s
        )

    def poll(self) -> bool:
        """Poll the QEMU. Blocks for the timeout of a command at most.

        :returns: whether the link was lost since the last poll
        """
        has_qemu = self._has_qemu()
        if has_qemu is None:
            return False  # libvirt is away, which does not affect QEMU
        with self._lock:
            if time.monotonic() - self._polled_at > EVENT_GAP_S:
                self._assume_checkpoint()
        connections: dict[str, bool] | None = None
        silent = False
        if has_qemu:
            try:
                connections = self._poll_qemu()
            except SilentError:
                silent = True
            except GoneError:
                has_qemu = self._has_qemu() is not False
            except ReplicationError:
                pass  # the pair is being changed at this moment
        with self._lock:
            self._polled_at = time.monotonic()
            self._running, self._silent = has_qemu, silent
            was_up = self._link is not None and self._link.up is True
            if self.record.stage == Stage.IN_SYNC:
                self._set_link(link_health.assess(self._signs(connections or {}), self._thresholds))
            if self._hybrid is not None:
                self._hybrid = hybrid.passed(self._hybrid, self._rule, time.time())
            if self._changed:
                self._write()
            is_down = self._link is not None and not self._link.up
        self._block_egress(is_down)
        return was_up and is_down

    def _block_egress(self, wanted: bool) -> None:
        """Block egress of a primary without a link, until it is in sync again or runs unprotected.

        Replies that can be compared are held back anyway. But the peer may have been promoted by now, and
        both would answer ARP. A link that is up again does not rule that out; a checkpoint does.
        """
        with self._egress_lock:
            in_pair = self.record.stage == Stage.IN_SYNC
            if not self.record.primary or wanted == self._egress_blocked or (wanted and not in_pair):
                return
            if not wanted and in_pair and not self._resumed_since_block:
                return
            # QEMU is gone, silent, or being changed: the next poll retries
            with contextlib.suppress(ReplicationError):
                self._resumed_since_block = self._resumed_since_block and not wanted
                netfilter.block_egress(self.guest, wanted)
                self._egress_blocked = wanted

    def _set_link(self, now: link_health.Link) -> None:
        """Set the state of the link, and log when it has changed between up and down."""
        before, self._link = self._link, now
        if before is not None and before.up != now.up:
            why = " ".join(map(str, now.reasons))
            LOG.info(
                "The replication link of server %s is %s. %s",
                self.record.server_id,
                "up" if now.up else "down",
                why,
            )

    def _poll_qemu(self) -> dict[str, bool]:
        if (
            self.record.primary
            and self.record.stage == Stage.DISCONNECTED
            and time.monotonic() >= self._announce_at
        ):
            self._announce_at = time.monotonic() + ANNOUNCE_S
            netfilter.announce(self.guest)
        if (
            not self.record.primary
            and self.record.stage == Stage.STARTING
            and migration.is_in_colo(self.guest)
        ):
            self.on_in_sync()
        if self.record.stage != Stage.IN_SYNC:
            return {}
        if self.record.primary and self.record.fence is not None and self._armed is None:
            self._arm(Fence(**self.record.fence))
        if not self.record.primary and self._devices_checked_at != self._checkpoint_at:
            self._devices_checked_at = self._checkpoint_at
            self._check_devices()
        return netfilter.connections(self.guest)

    def _check_devices(self) -> None:
        self._disabled_devices = virtio.disabled_devices(self.guest)
        if self._disabled_devices:
            LOG.warning(
                "Resetting the secondary of server %s: disabled devices: %s.",
                self.record.server_id,
                ", ".join(self._disabled_devices),
            )
            virtio.reset(self.guest)

    def _signs(self, chardevs: dict[str, bool]) -> link_health.Signs:
        now = time.time()
        figures = self.ledger.figures(now)
        age = self._peer_probe.age(self.record.peer) if self.record.peer else None
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
        """Return the replica's state as of the last poll.

        :param paired: whether it is supposed to have a peer
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
            elif self._peer_lost or self.record.stage == Stage.DISCONNECTED:
                up = False
            figures = (
                self.ledger.figures(time.time())
                if self.record.primary and self.record.stage == Stage.IN_SYNC
                else None
            )
            problems = list(self._link.reasons) if self._link else []
            if self._disabled_devices:
                problems.append(reasons.DEVICES_OFF(devices=self._disabled_devices))
            if self._arm_error is not None:
                problems.append(reasons.FENCE_UNARMED(error=self._arm_error))
            mode = self._hybrid.mode.value if self._hybrid else None
            error = reasons.read(self.record.error)
            return Report(running, up, progress, figures, error, problems, self._pause_ms, mode)
