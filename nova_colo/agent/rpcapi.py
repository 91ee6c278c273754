# SPDX-License-Identifier: Apache-2.0
"""Typed client of the agent's RPC API, the methods of :class:`nova_colo.agent.manager.AgentManager`.

Every method may be repeated. History of the API:

* 1.0 - Initial version.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, TypedDict

from nova_colo.agent.replication import PairSpec

#: Calls a method of a host's agent, ``call(host, method, **arguments)``, and returns its result.
Call = Callable[..., Any]


class ReplicaReport(TypedDict):
    """State of a replica, as *status* returns it and heartbeats carry it.

    The values are those of :class:`nova_colo.agent.replication.Report`, with reasons as data. An agent of an
    earlier release may leave out what was added since: ``stood_still_ms``, ``mode``, ``disks_equal``,
    ``committing``, ``shut_down`` and ``silent``.
    """

    role: str
    epoch: int
    running: bool
    link_up: bool | None
    progress: dict[str, Any] | None
    checkpoints: dict[str, Any] | None
    error: dict[str, Any] | None
    reasons: list[dict[str, Any]]
    stood_still_ms: float | None
    mode: str | None
    disks_equal: bool
    committing: bool
    shut_down: bool
    silent: bool


def has_ended(replica: ReplicaReport) -> bool:
    """Return whether the QEMU of a replica certainly does not exist."""
    return not replica["running"] and not replica.get("silent")


class AgentAPI:
    """The agents of all hosts.

    :param call: sends the request; its errors are those of each method
    """

    def __init__(self, call: Call):
        self._call = call

    def status(self, host: str, server_id: str) -> ReplicaReport | None:
        """Return the state of a host's replica of a server, or None when it has none."""
        return self._call(host, "status", server_id=server_id)

    def live_status(self, host: str, server_id: str) -> ReplicaReport | None:
        """Return the same after the replica's QEMU was asked."""
        return self._call(host, "live_status", server_id=server_id)

    def checkpoint_buckets(self, host: str, since: int) -> dict[str, list[dict[str, Any]]]:
        """Return the checkpoint history of a host's primaries, by server.

        :param since: seconds since the epoch: only intervals that begin then or later
        """
        return self._call(host, "checkpoint_buckets", since=since)

    def describe(self, host: str, spec: PairSpec) -> dict[str, Any]:
        """Return the description of a primary, for prepare_secondary() on its secondary's host."""
        return self._call(host, "describe", spec=dataclasses.asdict(spec))

    def prepare_secondary(self, host: str, spec: PairSpec, primary: dict[str, Any]) -> dict[str, Any]:
        """Create a secondary that waits for its primary.

        :param primary: what describe() returned
        :returns: what the primary's host needs to know: the argument of start_replication()
        """
        return self._call(host, "prepare_secondary", spec=dataclasses.asdict(spec), primary=primary)

    def start_replication(self, host: str, spec: PairSpec, secondary: dict[str, Any]) -> None:
        """Start to protect the guest that runs on a host. The progress is in its status.

        :param secondary: what prepare_secondary() returned
        """
        self._call(host, "start_replication", spec=dataclasses.asdict(spec), secondary=secondary)

    def demote(self, host: str, server_id: str, epoch: int, *, expected: int | None = None) -> bool:
        """Pause the primary for a failover to ``epoch``. Return whether it is certain to be paused.

        :param expected: the epoch that it must be the primary of; None when it may be any
        """
        # an agent of a release that has no such parameter is not given it in vain
        arguments = {} if expected is None else {"expected": expected}
        return bool(self._call(host, "demote", server_id=server_id, epoch=epoch, **arguments))

    def promote(self, host: str, server_id: str, epoch: int, *, stopped: bool = False) -> float | None:
        """Promote the secondary to run unprotected, by the grant for ``epoch``.

        :param stopped: what demote() returned for its primary
        :returns: downtime in milliseconds; None when it is not known
        """
        return self._call(host, "promote", server_id=server_id, epoch=epoch, stopped=stopped)

    def run_unprotected(self, host: str, server_id: str, epoch: int) -> None:
        """Run the primary without its secondary, by the grant for ``epoch``."""
        self._call(host, "run_alone", server_id=server_id, epoch=epoch)

    def finalize(self, host: str, server_id: str, epoch: int) -> None:
        """Record that Nova's records name the host of the promoted secondary."""
        self._call(host, "settle", server_id=server_id, epoch=epoch)

    def unprotect(self, host: str, server_id: str) -> None:
        """Stop replication of the guest that runs on a host. The guest runs on."""
        self._call(host, "release", server_id=server_id)

    def unprotect_if_unchanged(self, host: str, server_id: str, role: str, epoch: int) -> None:
        """Do the same if the replica's role and epoch still are as given."""
        self._call(host, "release", server_id=server_id, role=role, epoch=epoch)

    def set_mode(
        self, host: str, server_id: str, mode: str, interval_ms: int | None, actual: str | None = None
    ) -> None:
        """Set the mode of a replica. See :meth:`nova_colo.agent.replication.Backend.set_mode`."""
        self._call(host, "set_mode", server_id=server_id, mode=mode, interval_ms=interval_ms, actual=actual)

    def destroy(self, host: str, server_id: str, role: str, epoch: int) -> None:
        """Destroy a host's replica of a server if its role and epoch still are as given."""
        self._call(host, "discard", server_id=server_id, role=role, epoch=epoch)
