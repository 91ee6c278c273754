# SPDX-License-Identifier: Apache-2.0
"""One replica of a pair on its host: passes events and polls of its QEMU to its state, and reports that."""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from oslo_log import log as logging

from nova_colo.agent.qemu import process_watch
from nova_colo.agent.qemu.device_check import DeviceCheck
from nova_colo.agent.qemu.egress import Egress
from nova_colo.agent.qemu.fencing import ArmedFence, Fence
from nova_colo.agent.qemu.peer import Peer, ShutDown
from nova_colo.agent.qemu.peer_probe import PeerProbe
from nova_colo.agent.qemu.qmp import block, migration, netfilter
from nova_colo.agent.qemu.qmp.client import Event, GoneError, Guest, SilentError
from nova_colo.agent.qemu.state_store import Record, RecordWriter
from nova_colo.agent.replication import ReplicationError, Report
from nova_colo.pair import hybrid, link_health, reasons
from nova_colo.pair.checkpoint_history import Ledger
from nova_colo.pair.checkpoint_stats import Totals
from nova_colo.pair.model import Cause
from nova_colo.pair.reasons import Reason
from nova_colo.pair.replica_state import Progress, ReplicaState, Stage

LOG = logging.getLogger(__name__)

#: Steps of protecting a server that the engine takes before the agent's first, and all of them.
STEPS_BEFORE, STEPS = 2, 4
#: Seconds that the former primary's host may take to confirm that its QEMU has ended.
FENCE_REPLY_S = 0.05
#: Seconds between a poll and libvirt's next answer after which events may have been missed: libvirt was away,
#: or blocked.
EVENT_GAP_S = 3.0
#: A poll that has taken so many seconds hangs: libvirt does not answer, or all threads wait for frozen QEMUs.
OVERDUE_S = 15.0
#: Seconds for which an error that the guest received from its disk is reported.
DISK_ERROR_S = 300.0


class Replica:
    """A replica. Its methods may be called from any thread.

    :param has_qemu: returns whether its QEMU exists; None when libvirt does not answer
    :param shut_down: shuts down connections of its QEMU, see :class:`nova_colo.agent.qemu.peer.Peer`
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
        shut_down: ShutDown,
        store: Callable[[Record], None],
        rule: hybrid.Rule,
        thresholds: link_health.Thresholds,
    ):
        self.record = record
        self.guest = guest
        self.ledger = Ledger.restore(record.ledger) if record.ledger else Ledger(time.time())
        self.cancelled = threading.Event()  # the creation of the pair
        self.peer = Peer(record, peer_probe, shut_down)
        self.writer = RecordWriter(self._snapshot, store)
        self._has_qemu = has_qemu
        self._base_rule = rule
        self._thresholds = thresholds
        self._lock = threading.RLock()
        self._egress = Egress(guest)
        self._fence = ArmedFence(record.server_id)
        self._devices = DeviceCheck(guest)
        self._polled_at = time.monotonic()
        self._copy_ended = False
        self._disk_error_at: float | None = None
        self._state = ReplicaState(running=not record.shut_down).attached(
            time.time(), record.setting, self._rule, record.counted, self.ledger.last_at
        )

    @property
    def _rule(self) -> hybrid.Rule:
        return dataclasses.replace(self._base_rule, short_s=self.record.interval_ms / 1000)

    # --- changes by the agent, and events

    def save(self, **values: Any) -> None:
        """Set values of the record, and write it."""
        self._set(**values)
        self.writer.write()

    def close(self) -> None:
        """Stop writing the record, which is about to be deleted, and disarm the fence."""
        self.writer.close()
        with self._lock:
            self._fence.disarm()

    def _set(self, **values: Any) -> None:
        with self._lock:
            for name, value in values.items():
                setattr(self.record, name, value)
            self.writer.pending = True

    def _snapshot(self) -> Record:
        with self._lock:
            if self.record.primary:
                self.record.ledger = self.ledger.record()
            return dataclasses.replace(self.record)

    def count_from(self, totals: dict[str, int]) -> None:
        """Start a new ledger that continues the server's totals of earlier checkpoints."""
        with self._lock:
            self.ledger = Ledger(time.time(), Totals(**totals))

    def set_progress(self, stage: str, step: int, percent: int = 0) -> None:
        """Set the progress that is reported while the pair is being created."""
        with self._lock:
            self._state = self._state.progressed(Progress(stage, step, percent))

    def on_colo_started(self) -> None:
        """Begin to count checkpoints: QEMU is in COLO, and the first checkpoint is about to be forced."""
        with self._lock:
            self.record.counted = None
            self._state = self._state.colo_started(time.time(), self.record.setting)

    def on_in_sync(self, pause_ms: float | None = None) -> None:
        """Record that the replica is in sync with its peer.

        :param pause_ms: for how long the guest was paused until then
        """
        with self._lock:
            if self.record.primary:
                self._copy_ended, self.record.disks_equal = False, True
            self._set(stage=Stage.IN_SYNC, error=None, mirrored=self.record.primary)
            self._state = self._state.in_sync(time.time(), self.record.setting, self._rule, pause_ms)
        self.writer.write()

    def on_disconnected(self, error: Reason | None = None) -> None:
        """Record that the replica has no peer any more.

        :param error: why the pair could not be created
        """
        with self._lock:
            self._state = self._state.disconnected()
            self._devices.reset()
            self._copy_ended = False
            self._fence.disarm()
            self._set(stage=Stage.DISCONNECTED, disks_equal=True, error=error.data() if error else None)
        self._block_egress(False)
        self.writer.write()

    def set_parameters(self, delay_ms: int, mode: str, policy: str, interval_ms: int) -> None:
        """Record new checkpoint parameters, which are about to be set in QEMU."""
        with self._lock:
            now = time.time()
            self._set(delay_ms=delay_ms, mode=mode, policy=policy, interval_ms=interval_ms)
            self._state = self._state.parameters_set(now, self.record.setting, self._rule)
        self.writer.write()

    def on_reconnect(self) -> None:
        """Continue to count events after a gap, in which some may have been missed."""
        with self._lock:
            self._state = self._state.reconnected(time.time())

    def on_ended(self) -> None:
        """Record that the QEMU has ended."""
        with self._lock:
            self._state = self._state.ended()
            self._fence.disarm()

    def on_event(self, event: Event) -> bool:
        """Process an event of the QEMU, and return whether the engine must be notified at once."""
        if event.name == "COLO_EXIT":
            LOG.info("Server %s has left COLO.", self.record.server_id)
        elif event.name == "RESUME":
            self._egress.on_resume()
        elif event.name == "SHUTDOWN" and event.data.get("reason") == "guest-shutdown":
            LOG.info("The guest of server %s has powered itself off.", self.record.server_id)
            self._set(shut_down=True)
        urgent = self._note_disk_failure(event) or event.name == "COLO_EXIT"
        with self._lock:
            self._state, taken, unseen = self._state.event(event.name, event.at, event.data)
            if taken is not None:
                self.ledger.add(taken, time.time(), unseen)
                self.record.counted = self._state.last_counted
                self.writer.pending = True
                self._state = self._state.counted(self._rule, taken)
        return urgent

    def _note_disk_failure(self, event: Event) -> bool:
        """Process an event about a disk, and return whether it is the first failure of this pair.

        A primary leaves the pair when a write has not reached the secondary's disk. Without a checkpoint
        since, the secondary is as it was at the last one, and may be promoted. A secondary whose own disk has
        failed may not; it stays until the engine has told the primary to run on unprotected, so that clients
        need not wait.
        """
        with self._lock:
            stage, is_primary = self.record.stage, self.record.primary
            if not is_primary and stage != Stage.DISCONNECTED and block.has_failed(event.name, event.data):
                failed = self.record.disks_equal
                self.record.disks_equal = False
            elif is_primary and stage == Stage.IN_SYNC and block.copy_has_ended(event.name, event.data):
                failed = not self._copy_ended
                self._copy_ended = True
            else:
                if event.name == "BLOCK_IO_ERROR" and is_primary:
                    self._disk_error_at = time.time()
                if event.name == "RESUME" and self._copy_ended and stage == Stage.IN_SYNC:
                    was_equal, self.record.disks_equal, self.writer.pending = (
                        self.record.disks_equal,
                        False,
                        True,
                    )
                    return was_equal
                return False
        if failed:
            is_error = event.name != "BLOCK_JOB_CANCELLED"  # the pair was disconnected
            level = logging.WARNING if is_error else logging.INFO
            LOG.log(
                level,
                "Server %s: disk event %s of its QEMU: %s",
                self.record.server_id,
                event.name,
                dict(event.data),
            )
            threading.Thread(target=self._leave_pair, name="disk", daemon=True).start()
        return failed

    def _leave_pair(self) -> None:
        with self._lock:
            if not self._copy_ended and self.record.disks_equal:
                return  # disconnected meanwhile, which ends the copies
            self.writer.pending = True
        if self.record.primary:  # at once: no checkpoint must be taken
            with contextlib.suppress(ReplicationError):  # it does not answer: none is taken then
                migration.disconnect(self.guest)
        self.save()

    # --- fencing of a primary from its peer's host

    def trigger_fence(self) -> None:
        """Trigger the fence of this secondary's primary, which may still run.

        Each poll repeats it until the primary has ended.
        """
        if self.record.fence is not None:
            self._set(former_fence=self.record.fence)
            Fence(**self.record.fence).trigger(0)

    def retrigger_fence(self) -> None:
        """Trigger the fence of the former primary again, unless its host has confirmed that it has ended."""
        fence = self.record.former_fence
        if fence is None or not Fence(**fence).trigger(FENCE_REPLY_S):
            return
        with self._lock:
            if self.record.former_fence != fence:
                return
            LOG.info("The former primary of server %s has ended.", self.record.server_id)
            self._set(former_fence=None)

    def _arm_fence(self, fence: Fence) -> None:
        try:
            process = process_watch.process_of(self.guest)
        except OSError:
            return  # QEMU has just ended
        with self._lock:
            if self.record.stage == Stage.IN_SYNC:
                self._fence.arm(fence, process)

    # --- polls and reports

    def is_peer_silent(self) -> bool:
        """Return whether the peer's host fell silent since the last poll, so the next poll is due now."""
        with self._lock:
            is_up = self._state.is_link_up
        return is_up and self._is_peers_host_silent()

    def _is_peers_host_silent(self) -> bool:
        age = self.peer.silence_s()
        return age is not None and age > self._thresholds.silent_s

    def poll(self) -> bool:
        """Poll the QEMU. Blocks for the timeout of a command at most, or of two when the peer is lost.

        :returns: whether the link was lost since the last poll
        """
        had_ended = not self._state.running
        has_qemu = self._has_qemu()
        if has_qemu is None:
            return self._note_not_polled()
        with self._lock:
            if time.monotonic() - self._polled_at > EVENT_GAP_S:
                self._state = self._state.checkpoint_assumed(time.time())
        connections: dict[str, bool] | None = None
        silent = False
        if has_qemu:
            try:
                connections = self._poll_qemu_or_unblock()
            except SilentError:
                silent = True
            except GoneError:
                has_qemu = self._has_qemu()
                if has_qemu is None:
                    return self._note_not_polled()
            except ReplicationError:
                pass  # the pair is being changed at this moment
        with self._lock:
            self._polled_at = time.monotonic()
            before, link = self._state, None
            if self.record.shut_down and has_qemu and had_ended:
                self._set(shut_down=False)  # it was started again
            if self.record.stage == Stage.IN_SYNC:
                link = link_health.assess(self._measure_link(connections or {}), self._thresholds)
            self._state = before.polled(time.time(), self._rule, running=has_qemu, silent=silent, link=link)
            self._log_link(before.link, self._state.link)
            is_down = self._state.is_link_down
        self._block_egress(is_down)
        return before.is_link_up and is_down

    def _note_not_polled(self) -> bool:
        """Note that libvirt does not answer; return that the link was not lost, as poll() does."""
        with self._lock:
            self._state = self._state.not_polled()
        return False

    def _block_egress(self, wanted: bool) -> None:
        if self.record.primary:
            self._egress.block(wanted, in_pair=self.record.stage == Stage.IN_SYNC)

    def _log_link(self, before: link_health.Link | None, now: link_health.Link | None) -> None:
        """Log when the link has changed between up and down."""
        if before is not None and now is not None and before.up != now.up:
            LOG.info(
                "The replication link of server %s is %s. %s",
                self.record.server_id,
                "up" if now.up else "down",
                " ".join(map(str, now.reasons)),
            )

    def _poll_qemu_or_unblock(self) -> dict[str, bool]:
        try:
            return self._poll_qemu()
        except SilentError:
            if self.record.stage == Stage.DISCONNECTED or not self._is_peer_lost():
                raise
            LOG.warning(
                "The QEMU of server %s does not answer and its peer is lost; shutting down their "
                "connections.",
                self.record.server_id,
            )
            self.peer.shut_down_connections()
            return self._poll_qemu()

    def _is_peer_lost(self) -> bool:
        with self._lock:
            is_down = self._state.link_up(self.record.stage) is False
        return is_down or self._is_peers_host_silent()

    def _poll_qemu(self) -> dict[str, bool]:
        record = self.record
        if record.primary and record.stage == Stage.DISCONNECTED:
            self._egress.announce()
        if not record.primary and record.stage == Stage.STARTING and migration.is_in_colo(self.guest):
            self.on_in_sync()
        if record.stage != Stage.IN_SYNC:
            return {}
        if record.primary and record.fence is not None and not self._fence.armed:
            self._arm_fence(Fence(**record.fence))
        if record.mirrored and not self._copy_ended and not block.copies_run(self.guest, len(record.disks)):
            with self._lock:
                if record.stage != Stage.IN_SYNC:
                    return {}
                # the event was missed, and maybe a checkpoint that was taken since
                self._copy_ended, record.disks_equal = True, False
            self._leave_pair()
        if not record.primary:
            self._devices.after_checkpoint(self._state.checkpoint_at)
        return netfilter.connections(self.guest)

    def _measure_link(self, chardevs: dict[str, bool]) -> link_health.Measurements:
        now = time.time()
        figures = self.ledger.figures(now)
        since = self._state.checkpoint_at
        return link_health.Measurements(
            chardevs=chardevs,
            heartbeat_age_s=self.peer.silence_s(),
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
            state, stage = self._state, self.record.stage
            running = state.running and not state.silent
            silent = state.running and (state.silent or state.unseen or self._is_poll_overdue())
            shut_down = self.record.shut_down and not state.running
            if not paired:
                return Report(running, shut_down=shut_down, silent=silent)
            is_counting = self.record.primary and stage == Stage.IN_SYNC
            return Report(
                running,
                False if self._copy_ended else state.link_up(stage),
                self._progress() if stage in (Stage.OFFERED, Stage.STARTING) else None,
                self.ledger.figures(time.time()) if is_counting else None,
                reasons.read(self.record.error),
                list(self._problems()),
                state.pause_ms,
                state.hybrid.mode.value if state.hybrid else None,
                self.record.disks_equal,
                shut_down=shut_down,
                silent=silent,
            )

    def _is_poll_overdue(self) -> bool:
        """Return whether a poll hangs, such as in a call of libvirt."""
        return time.monotonic() - self._polled_at > OVERDUE_S

    def _progress(self) -> dict[str, Any]:
        progress = self._state.progress or Progress(reasons.WAITING_FOR_PRIMARY.code, STEPS_BEFORE)
        return {"stage": progress.stage, "step": progress.step, "of": STEPS, "percent": progress.percent}

    def _problems(self) -> Iterator[Reason]:
        if self._copy_ended:
            yield reasons.COPY_ENDED()
        elif not self.record.disks_equal:
            yield reasons.DISK_FAILED()
        if self._disk_error_at is not None and time.time() - self._disk_error_at < DISK_ERROR_S:
            yield reasons.GUEST_DISK_ERROR()
        if self._state.link is not None:
            yield from self._state.link.reasons
        if self._devices.unusable:
            yield reasons.DEVICES_OFF(devices=self._devices.unusable)
        if self._fence.error is not None:
            yield reasons.FENCE_UNARMED(error=self._fence.error)
