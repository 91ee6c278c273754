# SPDX-License-Identifier: Apache-2.0
"""Replication backends: how one replica of a pair is run on a host."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

import stevedore
from oslo_config import cfg

from nova_colo.pair import reasons
from nova_colo.pair.reasons import Reason

NAMESPACE = "nova_colo.replication"


class ReplicationError(Exception):
    """A backend could not do what it was asked.

    It is sent to whoever has asked by RPC, and made again there from its argument.

    :param reason: why; as :func:`nova_colo.pair.reasons.read` takes it
    :ivar reason: the same
    """

    def __init__(self, reason: Reason | Mapping[str, Any] | str):
        self.reason = reasons.read(reason) or reasons.OTHER(text="")
        super().__init__(self.reason.data())

    def __str__(self) -> str:
        return str(self.reason)


class MonitorError(ReplicationError):
    """QEMU has refused a command."""


class SilentError(ReplicationError):
    """QEMU has not answered in time: its guest is frozen."""


class GoneError(ReplicationError):
    """There is no such QEMU on this host, or it has just ended."""


@dataclasses.dataclass(frozen=True)
class PairSpec:
    """What both hosts need to know to make a pair.

    :param totals: checkpoints by cause that the server has had before
    :param mode: the mode policy: colo, checkpoint or hybrid
    :param interval_ms: milliseconds between two periodic checkpoints; None for the backend's own default
    """

    server_id: str
    name: str
    epoch: int
    primary_host: str
    secondary_host: str
    totals: dict[str, int] = dataclasses.field(default_factory=dict)
    mode: str = "colo"
    interval_ms: int | None = None


@dataclasses.dataclass(frozen=True)
class Report:
    """How one replica does.

    :param running: the QEMU process is there
    :param link_up: the replication link works; None without a twin
    :param progress: ``{"stage": str, "step": int, "of": int, "percent": int}`` while the pair is made, else None; the stage is a
        code of :mod:`nova_colo.pair.reasons`
    :param checkpoints: the wire's ``checkpoints`` object, on a primary with a twin, else None
    :param error: why the pair could not be made: the first error
    :param reasons: what is wrong with the replication link
    :param stood_still_ms: for how long the guest stood still when the pair was made; None when that was not measured
    :param mode: the mode, colo or checkpoint, that a pair under the policy hybrid should be in; None under another policy
    """

    running: bool
    link_up: bool | None = None
    progress: dict[str, Any] | None = None
    checkpoints: dict[str, Any] | None = None
    error: Reason | None = None
    reasons: list[Reason] = dataclasses.field(default_factory=list)
    stood_still_ms: float | None = None
    mode: str | None = None


class Backend(Protocol):
    """One host's replica of any number of pairs. Every method may be repeated; ReplicationError says what went wrong."""

    name: str

    def watch(self, changed: Callable[[], None]) -> None:
        """Call something as soon as a replica has lost its twin, or its QEMU has ended: engines should know at once."""

    def describe(self, spec: PairSpec) -> dict[str, Any]:
        """Say what the twin of the guest that runs here must be like. What it says is for the backend on the twin's host."""

    def prepare_secondary(self, spec: PairSpec, primary: dict[str, Any]) -> dict[str, Any]:
        """Make a secondary on this host that waits for the primary.

        :param primary: what the primary's host has said of it by describe()
        :returns: what the primary's host needs to know of the secondary, for start()
        """

    def start(self, spec: PairSpec, secondary: dict[str, Any]) -> None:
        """Start to protect the guest that runs here; returns at once, report() tells the progress.

        :param secondary: what the secondary's host has said of it
        """

    def report(self, server_id: str, peer: str | None) -> Report:
        """Tell how this host's replica does."""

    def pause(self, server_id: str) -> bool:
        """Stop a primary guest for a planned failover, in step with its twin. Returns whether it stands still for certain."""

    def promote(self, server_id: str, stopped: bool) -> float | None:
        """Let the secondary run alone.

        :param stopped: the primary is known to stand still; else it is ended, as soon and as surely as that can be
        :returns: for how many milliseconds nobody ran; None when that is not known
        """

    def settle(self, server_id: str) -> None:
        """Note that what a promoted secondary had is Nova's from now on: its files are not to be removed any more."""

    def run_alone(self, server_id: str) -> None:
        """Let the primary run without its twin."""

    def release(self, server_id: str) -> None:
        """Let the primary run as if it had never been in a pair; no error when it ended."""

    def set_mode(self, server_id: str, mode: str, interval_ms: int | None, actual: str | None = None) -> None:
        """Change how a live pair synchronises; told to both hosts, the secondary's first.

        :param mode: the mode policy: colo, checkpoint or hybrid
        :param actual: the mode of a pair under the policy hybrid; by default the one that it begins with
        :param interval_ms: milliseconds between two periodic checkpoints; None for the backend's own default
        """

    def buckets(self, server_id: str, since: int) -> list[dict[str, Any]]:
        """Return the checkpoints of the last quarter of an hour, counted in closed intervals of ten seconds, oldest first.

        :param since: seconds since the epoch: only intervals that begin then or later
        :returns: ``start`` (seconds since the epoch), ``mismatch``, ``periodic``, ``forced``, ``pause_sum_ms``, ``pause_max_ms``;
            intervals without a checkpoint are left out
        """

    def lacks(self) -> list[Reason]:
        """Return what keeps this host from carrying replicas of pairs; nothing when it can."""

    def versions(self) -> dict[str, str]:
        """Return the versions of what the backend works with, by name."""

    def discard(self, server_id: str) -> None:
        """End the QEMU on this host and remove what it had; no error when there is none."""

    def forget(self, server_id: str) -> None:
        """Remove what a replica had whose QEMU has ended, and end none; no error when there is none."""

    def without_role(self, known: Collection[str]) -> list[str]:
        """Return the servers that have a replica whose QEMU has ended, without those that are known to have a role here."""


def load(conf: cfg.ConfigOpts) -> Backend:
    """Return the configured backend.

    :raises RuntimeError: when [agent] replication_backend names none
    """
    name = conf.agent.replication_backend
    try:
        return stevedore.DriverManager(NAMESPACE, name, invoke_on_load=True, invoke_args=(conf,)).driver  # type: ignore[return-value]
    except stevedore.exception.NoMatches as error:
        raise RuntimeError(f"[agent] replication_backend: there is no backend named '{name}'.") from error
