# SPDX-License-Identifier: Apache-2.0
"""The state of this host's replicas that must survive a restart of the agent. The rest is read from QEMU."""

import dataclasses
import pathlib
import threading
from collections.abc import Callable
from typing import Any

from nova_colo.hoststate import json_file
from nova_colo.pair.model import Mode, actual_mode
from nova_colo.pair.replica_state import Setting, Stage

#: Fields of a record by the names under which the release before has stored them.
FORMER_NAMES = {
    "firing": "former_fence",
    "made": "created_files",
    "paces": "host_parameters",
    "wiring": "vifs",
}


@dataclasses.dataclass
class Record:
    """The state of one server's replica on this host.

    :param ports: those that its QEMU listens on
    :param peer: the address of the peer's host; None while that is not known
    :param peer_ports: those that a secondary listens on; only a primary's
    :param disks: files of its disks
    :param created_files: files that were created for a secondary and are not Nova's yet
    :param vifs: how the VIFs of a secondary were plugged; None when they were not, or are Nova's
    :param policy: colo, checkpoint or hybrid
    :param mode: colo or checkpoint
    :param interval_ms: milliseconds between two periodic checkpoints in mode checkpoint
    :param delay_ms: x-checkpoint-delay
    :param host_parameters: the configuration of the primary's host, in milliseconds: ``delay`` is
        x-checkpoint-delay in mode colo, ``interval`` that in mode checkpoint unless another was requested.
        Both replicas use it: the secondary's host may be configured otherwise
    :param error: why the pair could not be created, as Reason.data() returns it
    :param counted: the number that QEMU gave to the last checkpoint in the ledger
    :param ledger: as Ledger.record returns it; only a primary's
    :param mirrored: each write of this primary is copied to the secondary's disks by mirror jobs
    :param disks_equal: False since the secondary has missed a write: on its own host at once, on the
        primary's when a checkpoint was taken since
    :param fence: the fields of the Fence of the pair's primary; None when it has no NIC
    :param former_fence: the fields of the Fence of the former primary, which may still run; None when it has
        ended
    :param shut_down: the guest has powered itself off, and its QEMU ends or has ended
    """

    server_id: str
    primary: bool
    stage: Stage
    ports: list[int]
    peer: str | None = None
    peer_ports: list[int] = dataclasses.field(default_factory=list)
    disks: list[str] = dataclasses.field(default_factory=list)
    created_files: list[str] = dataclasses.field(default_factory=list)
    vifs: dict[str, Any] | None = None
    policy: str = "colo"
    mode: str = "colo"
    interval_ms: int = 100
    delay_ms: int = 20000
    host_parameters: dict[str, int] = dataclasses.field(
        default_factory=lambda: {"delay": 20000, "interval": 100}
    )
    error: dict[str, Any] | None = None
    counted: int | None = None
    ledger: dict[str, Any] | None = None
    mirrored: bool = False
    disks_equal: bool = True
    fence: dict[str, Any] | None = None
    former_fence: dict[str, Any] | None = None
    shut_down: bool = False

    @property
    def setting(self) -> Setting:
        """The fields that the state of the replica depends on."""
        return Setting(self.primary, self.stage, self.policy, self.mode, self.interval_ms, self.delay_ms)

    @property
    def buffered(self) -> bool:
        """Whether the guest's output waits for the next checkpoint, as in mode checkpoint."""
        return self.setting.buffered

    def parameters(self, policy: str, interval_ms: int | None, actual: str | None = None) -> dict[str, Any]:
        """Return the checkpoint parameters for a mode policy, as fields of this record.

        :param interval_ms: milliseconds between two periodic checkpoints in mode checkpoint; None for the
            default
        :param actual: the mode of a pair under the policy hybrid; by default its initial mode
        """
        mode = Mode(actual) if actual else actual_mode(policy)
        interval = interval_ms or self.host_parameters["interval"]
        delay = interval if mode == Mode.CHECKPOINT else self.host_parameters["delay"]
        return {"policy": policy, "mode": mode.value, "interval_ms": interval, "delay_ms": delay}


class StateStore:
    """The records below an agent's state_path."""

    def __init__(self, state_path: str):
        self._folder = pathlib.Path(state_path) / "qemu"

    def put(self, record: Record) -> None:
        """Write a server's record."""
        json_file.write(self._folder / f"{record.server_id}.json", dataclasses.asdict(record))

    def delete(self, server_id: str) -> None:
        """Delete a server's record; no error when there is none."""
        (self._folder / f"{server_id}.json").unlink(missing_ok=True)

    def all(self) -> list[Record]:
        """Return all records."""
        stored = (json_file.read(path) for path in sorted(self._folder.glob("*.json")))
        return [_record(values) for values in stored if values is not None]


def _record(values: dict[str, Any]) -> Record:
    known = {field.name for field in dataclasses.fields(Record)}  # a later release may have added others
    current = {FORMER_NAMES.get(name, name): value for name, value in values.items()}
    fields = {name: value for name, value in current.items() if name in known}
    return Record(**fields | {"stage": Stage(fields["stage"])})


class RecordWriter:
    """Writes a record that changes while it is written: a slow disk blocks neither events nor reports.

    :param snapshot: returns a copy of the record as it is now
    :param store: writes a record
    :ivar pending: whether the record has changed since it was last written
    """

    def __init__(self, snapshot: Callable[[], Record], store: Callable[[Record], None]):
        self.pending = False
        self._snapshot = snapshot
        self._store = store
        self._lock = threading.Lock()
        self._closed = False

    def write(self) -> None:
        """Write the record."""
        with self._lock:
            self.pending = False  # first: what changes meanwhile is written again
            if self._closed:
                return
            try:
                self._store(self._snapshot())
            except Exception:
                self.pending = True
                raise

    def close(self) -> None:
        """End writing, possibly in the middle of it: the record is about to be deleted."""
        with self._lock:
            self._closed, self.pending = True, False
