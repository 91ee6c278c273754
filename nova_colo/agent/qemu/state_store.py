# SPDX-License-Identifier: Apache-2.0
"""What this host's agent must remember of a replica when it is restarted. The rest is seen in QEMU."""

import dataclasses
import enum
import pathlib
from typing import Any

from nova_colo.hoststate import json_file
from nova_colo.pair.model import Mode, actual_mode


class Stage(enum.StrEnum):
    """How far a replica is.

    ``offered``: ports are taken, QEMU is as it was; ``starting``: the pair is being made; ``in_step``: it runs; ``parted``: the
    twin was lost, or the pair could not be made.
    """

    OFFERED = "offered"
    STARTING = "starting"
    IN_STEP = "in_step"
    PARTED = "parted"


@dataclasses.dataclass
class Record:
    """One server's replica on this host.

    :param ports: those that its QEMU listens on
    :param peer: the twin's address; None while that is not known
    :param disks: files of its disks
    :param made: those of them that were made for a secondary and are not Nova's yet
    :param wiring: how the network cards of a secondary were plugged in that are not Nova's yet; None when they were not
    :param policy: colo, checkpoint or hybrid
    :param mode: colo or checkpoint
    :param interval_ms: milliseconds between two periodic checkpoints in mode checkpoint
    :param delay_ms: x-checkpoint-delay
    :param paces: what the primary's host is configured to, in milliseconds: ``delay`` is x-checkpoint-delay in mode colo,
        ``interval`` that in mode checkpoint where nobody has said another. Both replicas go by it: the secondary's host may be
        configured otherwise
    :param error: why the pair could not be made, as Reason.data() returns it
    :param counted: the number that QEMU gave to the last checkpoint in the ledger
    :param ledger: as Ledger.record returns it; only a primary's
    :param fence: what ends the QEMU of the pair's primary, as a Fence's fields; None when it has no network card
    :param firing: the same of the primary before this one, which may not have ended yet; None when it has
    """

    server_id: str
    primary: bool
    stage: Stage
    ports: list[int]
    peer: str | None = None
    disks: list[str] = dataclasses.field(default_factory=list)
    made: list[str] = dataclasses.field(default_factory=list)
    wiring: dict[str, Any] | None = None
    policy: str = "colo"
    mode: str = "colo"
    interval_ms: int = 100
    delay_ms: int = 20000
    paces: dict[str, int] = dataclasses.field(default_factory=lambda: {"delay": 20000, "interval": 100})
    error: dict[str, Any] | None = None
    counted: int | None = None
    ledger: dict[str, Any] | None = None
    fence: dict[str, Any] | None = None
    firing: dict[str, Any] | None = None

    @property
    def buffered(self) -> bool:
        """Whether the guest's output waits for the next checkpoint, in mode checkpoint."""
        return self.mode == Mode.CHECKPOINT

    def pace(self, policy: str, interval_ms: int | None, actual: str | None = None) -> dict[str, Any]:
        """Return what this record is to say of how the pair synchronises.

        :param interval_ms: milliseconds between two periodic checkpoints in mode checkpoint; None for the default
        :param actual: the mode of a pair under the policy hybrid; by default the one that it begins with
        """
        mode = Mode(actual) if actual else actual_mode(policy)
        interval = interval_ms or self.paces["interval"]
        delay = interval if mode == Mode.CHECKPOINT else self.paces["delay"]
        return {"policy": policy, "mode": mode.value, "interval_ms": interval, "delay_ms": delay}


class Records:
    """The records below an agent's state_path."""

    def __init__(self, state_path: str):
        self._folder = pathlib.Path(state_path) / "qemu"

    def put(self, record: Record) -> None:
        """Set a server's record."""
        json_file.write(self._folder / f"{record.server_id}.json", dataclasses.asdict(record))

    def forget(self, server_id: str) -> None:
        """Remove a server's record; no error when there is none."""
        (self._folder / f"{server_id}.json").unlink(missing_ok=True)

    def all(self) -> list[Record]:
        """Return all records."""
        found = (json_file.read(path) for path in sorted(self._folder.glob("*.json")))
        return [_record(values) for values in found if values is not None]


def _record(values: dict[str, Any]) -> Record:
    return Record(**values | {"stage": Stage(values["stage"])})
