# SPDX-License-Identifier: Apache-2.0
"""Health of the replication link of one replica: whether it works, how well, and the reasons."""

import dataclasses
from collections.abc import Iterator, Mapping

from nova_colo.pair import reasons
from nova_colo.pair.model import Health
from nova_colo.pair.reasons import Reason


@dataclasses.dataclass(frozen=True)
class Measurements:
    """The link as one replica measures it. None stands for a value that is not measured, or not yet.

    :param chardevs: whether each socket of the link is connected, by its name in QEMU
    :param heartbeat_age_s: seconds since the peer's host last answered over the replication network
    :param pause_p99_ms: 99th percentile of the checkpoints' pauses, in milliseconds
    :param mismatches_per_min: checkpoints per minute because replies differed
    :param checkpoint_age_s: seconds since the last checkpoint ended, or since replication began
    :param checkpoint_delay_s: seconds between two periodic checkpoints
    """

    chardevs: Mapping[str, bool] = dataclasses.field(default_factory=dict)
    heartbeat_age_s: float | None = None
    pause_p99_ms: float | None = None
    mismatches_per_min: float | None = None
    checkpoint_age_s: float | None = None
    checkpoint_delay_s: float | None = None


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Values from which a measurement becomes a reason.

    :param silent_s: the peer's host is silent when its last answer is older than this many seconds
    :param pause_ms: pauses are long from this p99 on, in milliseconds: TCP clients retransmit after 200
    :param storm_per_min: mismatches are a storm from this many per minute on
    :param late_s: a checkpoint is late this many seconds after it was due
    :param stuck_s: replication is stuck this many seconds after a checkpoint was due, even when all sockets
        are connected. QEMU does not report a frozen peer: the primary waits for its reply without a timeout
    """

    silent_s: float = 2.0
    pause_ms: float = 200.0
    storm_per_min: float = 60.0
    late_s: float = 2.0
    stuck_s: float = 10.0


@dataclasses.dataclass(frozen=True)
class Link:
    """The assessment of the link.

    :param up: whether it works; None while unknown, not False, since a link that is down disconnects the
        replicas
    :param reasons: none when health is ok
    """

    up: bool | None
    health: Health
    reasons: tuple[Reason, ...]


def assess(measured: Measurements, thresholds: Thresholds) -> Link:
    """Return the assessment of a link from its measurements."""
    overdue = _overdue(measured)
    down = tuple(_failures(measured, thresholds, overdue))
    if down:
        return Link(False, Health.CRITICAL, down)
    if not measured.chardevs and measured.heartbeat_age_s is None:
        return Link(None, Health.UNKNOWN, (reasons.LINK_UNKNOWN(),))
    warnings = tuple(_warnings(measured, thresholds, overdue))
    return Link(True, Health.WARNING if warnings else Health.OK, warnings)


def _overdue(measured: Measurements) -> float:
    """Return for how many seconds a checkpoint has been due."""
    if measured.checkpoint_age_s is None or measured.checkpoint_delay_s is None:
        return 0.0
    return max(measured.checkpoint_age_s - measured.checkpoint_delay_s, 0.0)


def _failures(measured: Measurements, thresholds: Thresholds, overdue: float) -> Iterator[Reason]:
    if measured.heartbeat_age_s is not None and measured.heartbeat_age_s > thresholds.silent_s:
        yield reasons.PEER_SILENT(seconds=round(measured.heartbeat_age_s))
    lost = sorted(name for name, connected in measured.chardevs.items() if not connected)
    if lost:
        yield reasons.LINK_DISCONNECTED(sockets=lost)
    if overdue >= thresholds.stuck_s:
        yield reasons.LINK_STUCK(seconds=round(overdue))


def _warnings(measured: Measurements, thresholds: Thresholds, overdue: float) -> Iterator[Reason]:
    if overdue >= thresholds.late_s:
        yield reasons.CHECKPOINT_LATE(seconds=round(overdue))
    if measured.pause_p99_ms is not None and measured.pause_p99_ms >= thresholds.pause_ms:
        yield reasons.PAUSES_LONG(ms=round(measured.pause_p99_ms))
    if measured.mismatches_per_min is not None and measured.mismatches_per_min >= thresholds.storm_per_min:
        yield reasons.MISMATCH_STORM(number=round(measured.mismatches_per_min))
