# SPDX-License-Identifier: Apache-2.0
"""What to do about a pair, given what its two hosts say. Who may run alone is decided here and nowhere else."""

import dataclasses
import enum

from nova_colo.pair import reasons
from nova_colo.pair.model import Pair, Replica, Role, State, Wanted
from nova_colo.pair.reasons import Reason


class Action(enum.StrEnum):
    """What the engine should start for a pair."""

    NONE = "none"
    PROTECT = "protect"
    UNPROTECT = "unprotect"
    SUSPEND = "suspend"
    FAILOVER = "failover"
    RUN_ALONE = "run_alone"
    FOLLOW = "follow"
    RESTART = "restart"
    LOST = "lost"


@dataclasses.dataclass(frozen=True)
class Decision:
    """An action, and why.

    :param keep_room: with UNPROTECT: keep the room on the secondary's host, since a secondary will be wanted again soon
    :param planned: with FAILOVER: it was asked for, nothing was lost
    """

    action: Action
    reason: Reason | None = None
    keep_room: bool = False
    planned: bool = False


@dataclasses.dataclass(frozen=True)
class Observation:
    """What is known of one host with respect to one server.

    :param alive: its agent answers
    :param replica: its last report of this server; None when it reported none
    """

    alive: bool
    replica: Replica | None = None


#: Nova's statuses of servers whose guest does not run. Others that are not ACTIVE pass: what matters then is what the agents see.
STOPPED = frozenset(
    {"SHUTOFF", "PAUSED", "SUSPENDED", "RESCUE", "SHELVED", "SHELVED_OFFLOADED", "SOFT_DELETED", "DELETED"}
)

#: Those of servers that come back on any host, or never: no room is kept for their secondaries.
AWAY = frozenset({"SHELVED", "SHELVED_OFFLOADED", "SOFT_DELETED", "DELETED", "ERROR"})

NOTHING = Decision(Action.NONE)
GONE = Observation(alive=False)


def _runs(observation: Observation, role: Role, epoch: int) -> bool:
    replica = observation.replica
    return (
        observation.alive
        and replica is not None
        and replica.role == role
        and replica.epoch == epoch
        and replica.running
    )


def _is_adopted(pair: Pair, primary: Observation) -> bool:
    """Return whether a server runs just where Nova's records say, as Nova's own guest, and alone, since a failover.

    Nova may call it ERROR a moment after its records have moved, when a new secondary is being made already.
    """
    alone = pair.nova_host == pair.primary_host and pair.secondary_host is None
    return alone and pair.epoch > 0 and _runs(primary, Role.PRIMARY, pair.epoch)


def _leaves(observation: Observation) -> bool:
    return observation.alive and observation.replica is not None and observation.replica.role == Role.LEAVING


def decide(pair: Pair, primary: Observation, secondary: Observation) -> Decision:
    """Return what should be started for a pair that nothing is being done about.

    A silent agent alone proves nothing: its guest may well run. A host counts as lost when its agent is silent *and* the
    twin has lost the replication link to it.

    :param primary: what is known of the host that holds the grant
    :param secondary: what is known of the secondary's host; ignored while the pair has none
    """
    if pair.server_status == "ERROR" and pair.wanted == Wanted.PROTECTED and _is_adopted(pair, primary):
        return Decision(Action.FOLLOW, reasons.RECORDS_IN_ERROR(host=pair.primary_host))
    if pair.nova_host != pair.primary_host:
        if not primary.alive or primary.replica is None:
            return NOTHING
        if not primary.replica.running:
            # it is restarted there, once Nova knows it to be there
            return Decision(Action.FOLLOW, reasons.ENDED_BEFORE_RECORDS(host=pair.primary_host))
        return Decision(Action.FOLLOW, reasons.RECORDS_OUTDATED(host=pair.nova_host))
    if pair.secondary_host is None:
        return _decide_alone(pair, primary)
    if pair.server_status in STOPPED:
        reason = reasons.NOT_ACTIVE(status=pair.server_status)
        return Decision(Action.UNPROTECT, reason, keep_room=pair.server_status not in AWAY)
    if pair.wanted != Wanted.PROTECTED:
        action = Action.SUSPEND if pair.wanted == Wanted.SUSPENDED else Action.UNPROTECT
        return Decision(action, unwanted_reason(pair))
    if _leaves(primary):
        return Decision(Action.UNPROTECT, reasons.LEAVING(host=pair.primary_host), keep_room=True)
    primary_ok = _runs(primary, Role.PRIMARY, pair.epoch)
    secondary_ok = _runs(secondary, Role.SECONDARY, pair.epoch)
    if primary_ok:
        return _decide_primary_runs(pair, primary, secondary, secondary_ok)
    if not primary.alive:
        return _decide_primary_silent(pair, secondary, secondary_ok)
    if primary.replica is None:
        return Decision(Action.UNPROTECT, reasons.REPLACED(host=pair.primary_host), keep_room=True)
    if not secondary.alive:
        return NOTHING
    if secondary_ok:
        return Decision(Action.FAILOVER, reasons.PRIMARY_ENDED(host=pair.primary_host))
    return Decision(Action.LOST, reasons.BOTH_ENDED())


def _decide_alone(pair: Pair, primary: Observation) -> Decision:
    if pair.reserved_host and (pair.server_status in AWAY or pair.wanted == Wanted.UNPROTECTED):
        return Decision(Action.UNPROTECT, idle_reason(pair))
    if pair.server_status != "ACTIVE" or not primary.alive or _leaves(primary):
        return NOTHING
    if primary.replica is not None and not primary.replica.running:
        return Decision(Action.RESTART, reasons.ALONE_ENDED(host=pair.primary_host))
    if primary.replica is not None and (
        primary.replica.link_up is False or primary.replica.epoch < pair.epoch
    ):
        return Decision(Action.RUN_ALONE, reasons.WAITS_FOR_LOST_PEER(host=pair.primary_host))
    if idle_reason(pair):
        return NOTHING
    return Decision(Action.PROTECT)


def _decide_primary_runs(
    pair: Pair, primary: Observation, secondary: Observation, secondary_ok: bool
) -> Decision:
    if primary.replica is not None and primary.replica.link_up is False:
        lost = reasons.LINK_LOST if secondary.alive else reasons.SECONDARY_HOST_LOST
        return Decision(Action.RUN_ALONE, lost(host=pair.secondary_host))
    if secondary.alive and not secondary_ok:
        return Decision(Action.RUN_ALONE, reasons.SECONDARY_ENDED(host=pair.secondary_host))
    if secondary_ok and pair.state == State.PROTECTED and pair.return_to == pair.secondary_host:
        return Decision(Action.FAILOVER, reasons.TEST_RETURN(host=pair.return_to), planned=True)
    return NOTHING


def _decide_primary_silent(pair: Pair, secondary: Observation, secondary_ok: bool) -> Decision:
    if secondary_ok and secondary.replica is not None and secondary.replica.link_up is False:
        return Decision(Action.FAILOVER, reasons.HOST_LOST(host=pair.primary_host))
    if not secondary.alive:
        return NOTHING
    if not secondary_ok:
        return Decision(Action.LOST, reasons.HOST_AND_SECONDARY_LOST(host=pair.primary_host))
    return NOTHING


def idle_reason(pair: Pair) -> Reason | None:
    """Return why a pair without a secondary gets none now; None when it should get one, or has one."""
    if pair.secondary_host is not None:
        return None
    if pair.wanted != Wanted.PROTECTED:
        return unwanted_reason(pair)
    if pair.server_status in STOPPED | AWAY:
        return reasons.NOT_ACTIVE(status=pair.server_status)
    if pair.state == State.DEGRADED and not pair.auto_reprotect:
        return reasons.NO_AUTO_REPROTECT()
    return None


def idle_state(pair: Pair) -> State:
    """Return the state of a pair that has no secondary and gets none now."""
    if pair.wanted == Wanted.SUSPENDED:
        return State.SUSPENDED
    held = pair.wanted == Wanted.PROTECTED and pair.server_status not in STOPPED | AWAY
    return State.DEGRADED if held else State.UNPROTECTED


def unwanted_reason(pair: Pair) -> Reason | None:
    """Return why a pair's users have no secondary for it; None when they want one."""
    match pair.wanted:
        case Wanted.UNPROTECTED:
            return reasons.UNPROTECTED_ON_REQUEST()
        case Wanted.SUSPENDED:
            return reasons.SUSPENDED_ON_REQUEST()
    return None


def is_orphaned(pair: Pair | None, host_name: str, replica: Replica) -> bool:
    """Return whether what a host has of a server must not be there any more: its QEMU must be ended.

    :param pair: the server's pair, which nothing is being done about; None when the server is gone or is no FT server any more
    """
    if pair is None:
        return True
    if replica.epoch > pair.epoch:
        return False  # what we know of the pair is older than what the host does
    if host_name == pair.primary_host:
        return False
    if host_name == pair.secondary_host:
        return replica.role != Role.SECONDARY or replica.epoch != pair.epoch
    return host_name != pair.nova_host
