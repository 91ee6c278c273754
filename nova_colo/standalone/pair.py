# SPDX-License-Identifier: Apache-2.0
"""One pair without OpenStack: the work of an engine, with the grants given by the caller.

There is no database: the state of the pair is what its two agents remember. So a caller that lets a replica
run unprotected must be sure that nothing else does the same on the other host.
"""

import contextlib
import dataclasses
import time
from collections.abc import Generator, Mapping
from typing import Any, Protocol

from nova_colo.agent.replication import PairSpec
from nova_colo.agent.rpcapi import AgentAPI, ReplicaReport, has_ended
from nova_colo.pair import reasons
from nova_colo.pair.model import Role

#: Seconds between two polls of the progress.
INTERVAL = 0.2
NO_TOTALS = {"mismatch": 0, "periodic": 0, "forced": 0}


class PairError(Exception):
    """An operation is refused or has failed; the message has the cause."""


class Agents(Protocol):
    """Calls to the agents, as of nova_colo.rpc.AgentClient."""

    def call(self, host: str, method: str, **arguments: Any) -> Any:
        """Call a method of a host's agent and return its result."""


@dataclasses.dataclass(frozen=True)
class PairObservation:
    """The state of a pair as its agents report it.

    :param primary: host that holds the grant, or gave it up for a failover that was interrupted; None when no
        host reports that
    :param secondary: host of the secondary, or None
    :param epoch: the highest epoch of a primary or a secondary
    :param replicas: reports of the replicas that exist, by host
    """

    primary: str | None
    secondary: str | None
    epoch: int
    replicas: dict[str, ReplicaReport]


class StandalonePair:
    """The primary and the secondary of a guest on two hosts.

    :param server_id: UUID of the domain, which is the same on both hosts
    """

    def __init__(self, agents: Agents, server_id: str, name: str):
        self._agents = AgentAPI(agents.call)
        self._id = server_id
        self._name = name

    def observe(self, *hosts: str) -> PairObservation:
        """Return the state of the pair as some hosts report it."""
        replies = {host: self._agents.status(host, self._id) for host in hosts}
        return observation_of(replies)

    def protect(
        self,
        primary: str,
        secondary: str,
        *,
        epoch: int = 0,
        mode: str = "colo",
        interval_ms: int | None = None,
        totals: dict[str, int] | None = None,
        timeout: float = 300.0,
    ) -> Generator[dict[str, Any], None, None]:
        """Create a secondary for a running guest, and yield the progress until the two are in sync.

        :param epoch: epoch of the primary
        :param interval_ms: milliseconds between two periodic checkpoints; None for the agents' own default
        :param totals: earlier checkpoints of the server, by cause
        :param timeout: seconds
        :raises PairError: with the first error; the guest then runs as before
        """
        spec = PairSpec(
            self._id, self._name, epoch, primary, secondary, totals or NO_TOTALS, mode, interval_ms
        )
        try:
            description = self._agents.describe(primary, spec)
            offer = self._agents.prepare_secondary(secondary, spec, description)
            self._agents.start_replication(primary, spec, offer)
            yield from self._wait_in_sync(primary, timeout)
        except BaseException:
            self._roll_back(primary, secondary, epoch)
            raise

    def _roll_back(self, primary: str, secondary: str, epoch: int) -> None:
        """Restore the guest as far as the agents answer. Errors are suppressed: the first one is raised."""
        with contextlib.suppress(Exception):
            # the epoch must be kept: an earlier primary, not seen since, must not pass for the present one
            if epoch:
                self._agents.run_unprotected(primary, self._id, epoch)
            else:
                self._agents.unprotect(primary, self._id)
        with contextlib.suppress(Exception):
            self._agents.destroy(secondary, self._id, Role.SECONDARY, epoch)

    def _wait_in_sync(self, primary: str, timeout: float) -> Generator[dict[str, Any], None, None]:
        deadline, before = time.monotonic() + timeout, None
        while True:
            replica = self._agents.status(primary, self._id)
            if replica is None or has_ended(replica):
                raise PairError(f"The guest on {primary} ended while its secondary was being created.")
            if replica["error"]:
                raise PairError(str(reasons.read(replica["error"])))
            if replica["progress"] is None:
                return
            if replica["progress"] != before:
                before = replica["progress"]
                yield before | {"stage": reasons.stage(before["stage"])}
            if time.monotonic() > deadline:
                raise PairError(str(reasons.SYNC_TIMEOUT(seconds=timeout)))
            time.sleep(INTERVAL)

    def fail_over(self, observed: PairObservation) -> float | None:
        """Fail over to the secondary from a primary whose host answers; the old primary is destroyed.

        :returns: downtime in milliseconds; None when it is not known
        """
        source, _ = _primary_and_secondary(observed)
        epoch = observed.epoch
        stopped = self._agents.demote(source, self._id, epoch + 1, expected=epoch)
        gap_ms = self.take_over(observed, stopped=stopped)
        self._agents.destroy(source, self._id, Role.DEMOTED, epoch + 1)
        return gap_ms

    def take_over(self, observed: PairObservation, *, stopped: bool = False) -> float | None:
        """Promote the secondary of a primary that is lost.

        :param stopped: the primary is not lost: its host has confirmed that the guest is paused
        :returns: downtime in milliseconds; None when it is not known
        """
        target = observed.secondary
        if target is None:
            raise PairError("The guest has no secondary.")
        gap_ms = self._agents.promote(target, self._id, observed.epoch + 1, stopped=stopped)
        self._agents.finalize(target, self._id, observed.epoch + 1)
        return gap_ms

    def run_unprotected(self, observed: PairObservation) -> None:
        """Run the primary unprotected, without a secondary that is lost."""
        if observed.primary is None:
            raise PairError("No host has a primary of this guest.")
        self._agents.run_unprotected(observed.primary, self._id, observed.epoch + 1)

    def finalize(self, observed: PairObservation) -> None:
        """Finalize a failover that was interrupted after the promotion of the secondary."""
        primary = observed.primary
        if primary is not None and observed.replicas[primary]["role"] == Role.PROMOTED:
            self._agents.finalize(primary, self._id, observed.epoch)

    def destroy_replica(self, host: str, replica: Mapping[str, Any]) -> None:
        """Destroy the replica on a host, if its role and epoch are still those of the report."""
        self._agents.destroy(host, self._id, replica["role"], replica["epoch"])

    def unprotect(self, observed: PairObservation) -> None:
        """Destroy the secondary and all other replicas; the guest runs on as an ordinary one."""
        if observed.primary is None:
            raise PairError("No host has a primary of this guest.")
        self._agents.unprotect(observed.primary, self._id)
        for host, replica in observed.replicas.items():
            if host != observed.primary:
                self.destroy_replica(host, replica)

    def set_mode(
        self, observed: PairObservation, mode: str, interval_ms: int | None = None, actual: str | None = None
    ) -> None:
        """Set the checkpoint mode of the pair.

        :param actual: mode of a pair under the policy hybrid; by default the initial one
        """
        source, target = _primary_and_secondary(observed)
        for host in (target, source):
            self._agents.set_mode(host, self._id, mode, interval_ms, actual)


def observation_of(replies: Mapping[str, ReplicaReport | None]) -> PairObservation:
    """Return the state of a pair.

    :param replies: reports of the agents that answer, by host; None for a host without a replica
    """
    replicas = {host: replica for host, replica in replies.items() if replica is not None}
    primaries = {
        host: replica["epoch"]
        for host, replica in replicas.items()
        if replica["role"] in (Role.PRIMARY, Role.PROMOTED, Role.LEAVING)
    }
    secondaries = {
        host: replica["epoch"] for host, replica in replicas.items() if replica["role"] == Role.SECONDARY
    }
    epoch = max((*primaries.values(), *secondaries.values()), default=0)
    primary = next((host for host in primaries if primaries[host] == epoch), None)
    secondary = next((host for host in secondaries if secondaries[host] == epoch), None)
    if primary is None and secondary is not None:
        demoted = {
            host
            for host, replica in replicas.items()
            if replica["role"] == Role.DEMOTED and replica["epoch"] == epoch + 1
        }
        primary = next(iter(demoted), None)
    return PairObservation(primary, secondary, epoch, replicas)


def _primary_and_secondary(observed: PairObservation) -> tuple[str, str]:
    if observed.primary is None or observed.secondary is None:
        raise PairError("The guest has no secondary.")
    return observed.primary, observed.secondary
