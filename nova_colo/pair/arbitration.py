# SPDX-License-Identifier: Apache-2.0
"""What to do about a pair, given what its two hosts say. Who may run alone is decided here and nowhere else."""

import dataclasses
import enum

from nova_colo.pair.model import Pair, Role, Side, State
from nova_colo.pair.words import host


class Action(enum.StrEnum):
    """What the engine should start for a pair."""

    NONE = "none"
    PROTECT = "protect"
    UNPROTECT = "unprotect"
    FAILOVER = "failover"
    RUN_ALONE = "run_alone"
    FOLLOW = "follow"
    RESTART = "restart"
    LOST = "lost"


@dataclasses.dataclass(frozen=True)
class Decision:
    """An action and, in words for people, why."""

    action: Action
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Witness:
    """What is known of one host with respect to one server.

    :param alive: its agent answers
    :param side: its last report of this server; None when it reported none
    """

    alive: bool
    side: Side | None = None


#: Nova's statuses of servers whose guest does not run. Others that are not ACTIVE pass: what matters then is what the agents see.
STOPPED = frozenset({"SHUTOFF", "PAUSED", "SUSPENDED", "RESCUE", "SHELVED", "SHELVED_OFFLOADED", "SOFT_DELETED", "DELETED"})

NOTHING = Decision(Action.NONE)
GONE = Witness(alive=False)


def _runs(witness: Witness, role: Role, epoch: int) -> bool:
    side = witness.side
    return witness.alive and side is not None and side.role == role and side.epoch == epoch and side.running


def decide(pair: Pair, primary: Witness, secondary: Witness) -> Decision:
    """Return what should be started for a pair that nothing is being done about.

    A silent agent alone proves nothing: its guest may well run. A host counts as lost when its agent is silent *and* the
    twin has lost the replication link to it.

    :param primary: what is known of the host that holds the grant
    :param secondary: what is known of the secondary's host; ignored while the pair has none
    """
    if pair.nova_host != pair.primary_host:
        if not (primary.alive and primary.side is not None and primary.side.running):
            return NOTHING
        return Decision(Action.FOLLOW, f"Nova's records still name {host(pair.nova_host)}")
    if pair.secondary_host is None:
        return _decide_alone(pair, primary)
    if pair.server_status in STOPPED:
        return Decision(Action.UNPROTECT, f"the server is {pair.server_status}")
    primary_ok = _runs(primary, Role.PRIMARY, pair.epoch)
    secondary_ok = _runs(secondary, Role.SECONDARY, pair.epoch)
    if primary_ok:
        return _decide_primary_runs(pair, primary, secondary, secondary_ok)
    if not primary.alive:
        return _decide_primary_silent(pair, secondary, secondary_ok)
    if primary.side is None:
        return Decision(Action.UNPROTECT, f"the guest on {host(pair.primary_host)} was restarted or replaced")
    if not secondary.alive:
        return NOTHING
    if secondary_ok:
        return Decision(Action.FAILOVER, f"the primary QEMU on {host(pair.primary_host)} ended")
    return Decision(Action.LOST, "both QEMUs of the pair ended")


def _decide_alone(pair: Pair, primary: Witness) -> Decision:
    if pair.server_status != "ACTIVE" or not primary.alive:
        return NOTHING
    if primary.side is not None and not primary.side.running:
        return Decision(Action.RESTART, f"the guest on {host(pair.primary_host)} ended and has no twin")
    if primary.side is not None and (primary.side.link_up is False or primary.side.epoch < pair.epoch):
        return Decision(Action.RUN_ALONE, f"the primary on {host(pair.primary_host)} still waits for a twin that it has lost")
    return Decision(Action.PROTECT)


def _decide_primary_runs(pair: Pair, primary: Witness, secondary: Witness, secondary_ok: bool) -> Decision:
    if primary.side is not None and primary.side.link_up is False:
        lost = "the replication link to" if secondary.alive else "the secondary's host"
        return Decision(Action.RUN_ALONE, f"{lost} {host(pair.secondary_host or '')} is lost")
    if secondary.alive and not secondary_ok:
        return Decision(Action.RUN_ALONE, f"the secondary QEMU on {host(pair.secondary_host or '')} ended")
    return NOTHING


def _decide_primary_silent(pair: Pair, secondary: Witness, secondary_ok: bool) -> Decision:
    if secondary_ok and secondary.side is not None and secondary.side.link_up is False:
        return Decision(Action.FAILOVER, f"host {host(pair.primary_host)} is lost")
    if not secondary.alive:
        return NOTHING
    if not secondary_ok:
        return Decision(Action.LOST, f"host {host(pair.primary_host)} is lost and the secondary QEMU ended")
    return NOTHING


def idle_reason(pair: Pair) -> str:
    """Return why a server that does not run has no secondary; an empty string for any other pair."""
    if pair.secondary_host is None and pair.server_status in STOPPED:
        return f"The server is {pair.server_status}. It is protected again when it is ACTIVE."
    return ""


def is_stale(pair: Pair | None, host_name: str, side: Side) -> bool:
    """Return whether what a host has of a server must not be there any more: its QEMU must be ended.

    :param pair: the server's pair, which nothing is being done about; None when the server is gone or is no FT server any more
    """
    if pair is None:
        return True
    if side.epoch > pair.epoch:
        return False  # what we know of the pair is older than what the host does
    if host_name == pair.primary_host:
        return False
    if host_name == pair.secondary_host:
        return side.role != Role.SECONDARY or side.epoch != pair.epoch
    return host_name != pair.nova_host


def may_fail_over(pair: Pair, *, force: bool) -> str:
    """Return why a requested failover must be refused, with the remedy; an empty string when it may start."""
    if pair.state == State.FAILING_OVER:
        return "A failover of this server is already in progress. Wait until it has finished."
    if pair.secondary_host is None:
        if pair.state == State.STARTING:
            return "The secondary is still being made. Wait until the server is protected."
        return (
            "The server has no healthy secondary to fail over to. "
            "Wait until it is protected again, or free capacity on another host."
        )
    if pair.state != State.PROTECTED and not force:
        return f"The pair is {pair.state}, not protected. Wait until it is protected, or force the failover."
    return ""
