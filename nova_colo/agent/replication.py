# SPDX-License-Identifier: Apache-2.0
"""The interface of replication backends, which run the replicas of pairs on a host."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

import stevedore
from oslo_config import cfg

from nova_colo.pair import reasons
from nova_colo.pair.reasons import Reason

NAMESPACE = "nova_colo.replication"


class ReplicationError(Exception):
    """A backend cannot carry out a request.

    oslo.messaging sends it to the caller and recreates it there from its argument.

    :param reason: the cause, in any form that :func:`nova_colo.pair.reasons.read` accepts
    :ivar reason: the cause
    """

    def __init__(self, reason: Reason | Mapping[str, Any] | str):
        self.reason = reasons.read(reason) or reasons.OTHER(text="")
        super().__init__(self.reason.data())

    def __str__(self) -> str:
        return str(self.reason)


class MonitorError(ReplicationError):
    """QEMU refused a command."""


class SilentError(ReplicationError):
    """QEMU did not answer in time: its guest is frozen."""


class GoneError(ReplicationError):
    """The QEMU does not exist on this host, or has just ended."""


class UnverifiedError(ReplicationError):
    """The agent cannot verify that an engine has sent the request, which says nothing about its replica."""


@dataclasses.dataclass(frozen=True)
class PairSpec:
    """The description of a pair that is to be created, for both of its hosts.

    :param totals: number of the server's earlier checkpoints, by cause
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
    """The state of one replica.

    :param running: whether the QEMU process runs; False also when it does not answer (``silent``)
    :param link_up: whether the replication link works; None without a peer
    :param progress: ``{"stage": str, "step": int, "of": int, "percent": int}`` while the pair is being
        created, else None; the stage is a code of :mod:`nova_colo.pair.reasons`
    :param checkpoints: the ``checkpoints`` object of the heartbeat for a primary with a secondary, else None
    :param error: the first error that prevented the pair from being created
    :param reasons: problems of the replication link
    :param stood_still_ms: milliseconds for which the guest was paused while the pair was created; None when
        that was not measured
    :param mode: the mode, colo or checkpoint, that a pair under the policy hybrid should be in; None under
        another policy
    :param disks_equal: False since the secondary has missed a write that its primary did not wait for: it
        must not be promoted any more
    :param committing: a promoted secondary's disk file lacks data that its guest has written
    :param shut_down: the QEMU process has ended since its guest has powered itself off
    :param silent: QEMU, or libvirt, does not answer, so that nothing newer is known
    """

    running: bool
    link_up: bool | None = None
    progress: dict[str, Any] | None = None
    checkpoints: dict[str, Any] | None = None
    error: Reason | None = None
    reasons: list[Reason] = dataclasses.field(default_factory=list)
    stood_still_ms: float | None = None
    mode: str | None = None
    disks_equal: bool = True
    committing: bool = False
    shut_down: bool = False
    silent: bool = False


class Backend(Protocol):
    """The replicas of one host.

    Every method may be repeated. Methods raise ReplicationError when they fail.
    """

    name: str

    def watch(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` as soon as a replica has lost its peer or its QEMU has ended.

        The agent then sends a heartbeat at once.
        """

    def poll(self, server_id: str) -> None:
        """Ask the replica on this host for its state, which report() then returns."""

    def describe(self, spec: PairSpec) -> dict[str, Any]:
        """Return the description of a primary, for prepare_secondary() on its secondary's host."""

    def prepare_secondary(self, spec: PairSpec, primary: dict[str, Any]) -> dict[str, Any]:
        """Create a secondary on this host that waits for its primary.

        :param primary: the description of the primary, as describe() returned it on its host
        :returns: the description of the secondary, for start() on the primary's host
        """

    def start(self, spec: PairSpec, secondary: dict[str, Any]) -> None:
        """Start to protect the guest of a primary on this host.

        It returns at once; report() returns the progress.

        :param secondary: the description of the secondary, as prepare_secondary() returned it on its host
        """

    def report(self, server_id: str, peer: str | None) -> Report:
        """Return the state of this host's replica.

        :param peer: host of its peer; None when it is to have none
        """

    def pause(self, server_id: str) -> bool:
        """Pause a primary's guest for a planned failover, in sync with its secondary.

        :returns: whether the guest is certain to be paused
        """

    def check_promotable(self, server_id: str) -> None:
        """Check that a secondary on this host can be promoted now.

        :raises ReplicationError: when it cannot
        """

    def promote(self, server_id: str, stopped: bool) -> float | None:
        """Run the secondary unprotected.

        :param stopped: whether the primary is known to be paused; otherwise it is fenced as well as possible
        :returns: milliseconds for which neither replica ran; None when that is not known
        """

    def finalize(self, server_id: str) -> None:
        """Hand the files and VIFs of a promoted secondary over to Nova, which removes them from then on."""

    def run_unprotected(self, server_id: str) -> None:
        """Run the primary unprotected."""

    def unprotect(self, server_id: str) -> None:
        """Run the primary unprotected, and remove all that the pair has added to it.

        It is no error when the primary has ended.
        """

    def set_mode(self, server_id: str, mode: str, interval_ms: int | None, actual: str | None = None) -> None:
        """Change the mode of a running pair. It is called on both hosts, the secondary's first.

        :param mode: the mode policy: colo, checkpoint or hybrid
        :param actual: the mode of a pair under the policy hybrid; by default its initial mode
        :param interval_ms: milliseconds between two periodic checkpoints; None for the backend's own default
        """

    def buckets(self, server_id: str, since: int) -> list[dict[str, Any]]:
        """Return the checkpoints of the last 15 minutes by completed intervals of ten seconds, oldest first.

        :param since: seconds since the epoch: only intervals that begin then or later
        :returns: ``start`` (seconds since the epoch), ``mismatch``, ``periodic``, ``forced``,
            ``pause_sum_ms``, ``pause_max_ms``; intervals without a checkpoint are omitted
        """

    def unmet_requirements(self) -> list[Reason]:
        """Return why this host cannot run replicas of pairs; nothing when it can."""

    def versions(self) -> dict[str, str]:
        """Return the versions of the programs that the backend uses, by name."""

    def destroy(self, server_id: str) -> None:
        """Destroy the QEMU of a replica and delete the replica's state; no error when there is none."""

    def delete_state(self, server_id: str) -> None:
        """Delete the state of a replica without destroying a QEMU; no error when there is none."""

    def ended(self, with_role: Collection[str]) -> list[str]:
        """Return the servers whose replica is still managed though its QEMU has ended.

        :param with_role: servers that have a role on this host; they are not returned
        """


def load(conf: cfg.ConfigOpts) -> Backend:
    """Return the configured backend.

    :raises RuntimeError: when [agent] replication_backend names no backend
    """
    name = conf.agent.replication_backend
    try:
        return stevedore.DriverManager(NAMESPACE, name, invoke_on_load=True, invoke_args=(conf,)).driver  # type: ignore[return-value]
    except stevedore.exception.NoMatches as error:
        raise RuntimeError(f"[agent] replication_backend: there is no backend named '{name}'.") from error
