# SPDX-License-Identifier: Apache-2.0
"""One pair without OpenStack: what an engine does, with a person, or a program, who gives the grants.

There is no database: what is known of the pair is what its two agents remember. So whoever lets a replica run alone must be sure
that nobody else does the same on the other host.
"""

import contextlib
import dataclasses
import time
from collections.abc import Generator, Mapping
from typing import Any, Protocol

from nova_colo.pair import reasons
from nova_colo.pair.model import Role

#: Seconds between two looks at the progress.
INTERVAL = 0.2
NO_TOTALS = {"mismatch": 0, "periodic": 0, "forced": 0}


class PairError(Exception):
    """Something cannot be done; the message says why."""


class Agents(Protocol):
    """What reaches the agents: nova_colo.rpc.AgentClient."""

    def call(self, host: str, method: str, **arguments: Any) -> Any:
        """Ask a host's agent to do something."""


@dataclasses.dataclass(frozen=True)
class Standing:
    """Where a pair stands.

    :param primary: the host that holds the grant, or gave it up for a failover that was interrupted; None when no host says so
    :param secondary: the host of its twin, or None
    :param replicas: what the agents that have one say of their replicas, by host
    """

    primary: str | None
    secondary: str | None
    epoch: int
    replicas: dict[str, dict[str, Any]]


class StandalonePair:
    """A guest and its twin on two hosts.

    :param server_id: the domain's uuid, which is the same on both
    """

    def __init__(self, agents: Agents, server_id: str, name: str):
        self._agents = agents
        self._id = server_id
        self._name = name

    def standing(self, *hosts: str) -> Standing:
        """Return where the pair stands, as some hosts know it."""
        asked = {host: self._agents.call(host, "status", server_id=self._id) for host in hosts}
        return standing_of(asked)

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
        """Make a secondary of a guest that runs, and yield the progress until the two run in step.

        :param epoch: that the primary is in
        :param interval_ms: milliseconds between two periodic checkpoints; None for the agents' own default
        :param totals: checkpoints that the server has had before
        :param timeout: seconds
        :raises PairError: with the first error; the guest runs as before then
        """
        spec = {
            "server_id": self._id,
            "name": self._name,
            "epoch": epoch,
            "primary_host": primary,
            "secondary_host": secondary,
        }
        spec |= {"totals": totals or NO_TOTALS, "mode": mode, "interval_ms": interval_ms}
        try:
            said = self._agents.call(primary, "describe", spec=spec)
            offer = self._agents.call(secondary, "prepare_secondary", spec=spec, primary=said)
            self._agents.call(primary, "start_replication", spec=spec, secondary=offer)
            yield from self._until_in_step(primary, timeout)
        except BaseException:
            self._give_up(primary, secondary, epoch)
            raise

    def _give_up(self, primary: str, secondary: str, epoch: int) -> None:
        """Leave the guest as it was, as far as the agents answer: what has gone wrong before is what matters."""
        with contextlib.suppress(Exception):
            if (
                epoch
            ):  # to be remembered: an earlier primary, not seen since, must not pass for the present one
                self._agents.call(primary, "run_alone", server_id=self._id, epoch=epoch)
            else:
                self._agents.call(primary, "release", server_id=self._id)
        with contextlib.suppress(Exception):
            self._agents.call(secondary, "discard", server_id=self._id)

    def _until_in_step(self, primary: str, timeout: float) -> Generator[dict[str, Any], None, None]:
        deadline, before = time.monotonic() + timeout, None
        while True:
            replica = self._agents.call(primary, "status", server_id=self._id)
            if replica is None or not replica["running"]:
                raise PairError(f"The guest on {primary} ended while its secondary was made.")
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

    def fail_over(self, standing: Standing) -> float | None:
        """Let the secondary take over from a primary whose host answers; the old primary's guest ends.

        :returns: for how many milliseconds nobody ran; None when that is not known
        """
        source, _ = _both(standing)
        epoch = standing.epoch
        stopped = self._agents.call(source, "demote", server_id=self._id, epoch=epoch + 1, expected=epoch)
        gap_ms = self.take_over(standing, stopped=bool(stopped))
        self._agents.call(source, "discard", server_id=self._id)
        return gap_ms

    def take_over(self, standing: Standing, *, stopped: bool = False) -> float | None:
        """Let the secondary take over from a primary that is lost.

        :param stopped: the primary is not lost: its host has said that its guest stands still for certain
        :returns: for how many milliseconds nobody ran; None when that is not known
        """
        target = standing.secondary
        if target is None:
            raise PairError("The guest has no secondary.")
        gap_ms = self._agents.call(
            target, "promote", server_id=self._id, epoch=standing.epoch + 1, stopped=stopped
        )
        self._agents.call(target, "settle", server_id=self._id, epoch=standing.epoch + 1)
        return gap_ms

    def go_on_alone(self, standing: Standing) -> None:
        """Let the primary go on without a secondary that is lost."""
        if standing.primary is None:
            raise PairError("No host has a primary of this guest.")
        self._agents.call(standing.primary, "run_alone", server_id=self._id, epoch=standing.epoch + 1)

    def settle(self, standing: Standing) -> None:
        """End a failover that was interrupted after the secondary had taken over."""
        primary = standing.primary
        if primary is not None and standing.replicas[primary]["role"] == Role.PROMOTED:
            self._agents.call(primary, "settle", server_id=self._id, epoch=standing.epoch)

    def discard(self, host: str, replica: Mapping[str, Any]) -> None:
        """End what a host has of the pair, if it still is what it was seen to be."""
        self._agents.call(host, "discard", server_id=self._id, role=replica["role"], epoch=replica["epoch"])

    def unprotect(self, standing: Standing) -> None:
        """Remove the secondary, and what other hosts have left of the pair; the guest runs on as if it had never had one."""
        if standing.primary is None:
            raise PairError("No host has a primary of this guest.")
        self._agents.call(standing.primary, "release", server_id=self._id)
        for host in standing.replicas:
            if host != standing.primary:
                self._agents.call(host, "discard", server_id=self._id)

    def set_mode(
        self, standing: Standing, mode: str, interval_ms: int | None = None, actual: str | None = None
    ) -> None:
        """Change how the pair synchronises.

        :param actual: the mode of a pair under the policy hybrid; by default the one that it begins with
        """
        source, target = _both(standing)
        for host in (target, source):
            self._agents.call(
                host, "set_mode", server_id=self._id, mode=mode, interval_ms=interval_ms, actual=actual
            )


def standing_of(asked: Mapping[str, dict[str, Any] | None]) -> Standing:
    """Return where a pair stands.

    :param asked: what the agents that answer say of their replicas, by host; None for a host that has none
    """
    replicas = {host: replica for host, replica in asked.items() if replica is not None}
    alone = {
        host: replica["epoch"]
        for host, replica in replicas.items()
        if replica["role"] in (Role.PRIMARY, Role.PROMOTED, Role.LEAVING)
    }
    waiting = {
        host: replica["epoch"] for host, replica in replicas.items() if replica["role"] == Role.SECONDARY
    }
    epoch = max((*alone.values(), *waiting.values()), default=0)
    primary = next((host for host in alone if alone[host] == epoch), None)
    secondary = next((host for host in waiting if waiting[host] == epoch), None)
    if primary is None and secondary is not None:
        given_up = {
            host
            for host, replica in replicas.items()
            if replica["role"] == Role.DEMOTED and replica["epoch"] == epoch + 1
        }
        primary = next(iter(given_up), None)
    return Standing(primary, secondary, epoch, replicas)


def _both(standing: Standing) -> tuple[str, str]:
    if standing.primary is None or standing.secondary is None:
        raise PairError("The guest has no secondary.")
    return standing.primary, standing.secondary
