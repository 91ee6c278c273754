# SPDX-License-Identifier: Apache-2.0
"""Arbitration: decide what to do about a pair from the reports of its two hosts.

Only this module decides which replica may run unprotected.
"""

import dataclasses
import enum
from collections.abc import Mapping

from nova_colo.pair import reasons
from nova_colo.pair.model import Pair, Replica, Role, State, Wanted
from nova_colo.pair.reasons import Reason


class Action(enum.StrEnum):
    """An operation that the engine should start for a pair, by its kind as it is stored."""

    NONE = "none"
    PROTECT = "protect"
    UNPROTECT = "unprotect"
    SUSPEND = "suspend"
    FAILOVER = "failover"
    RUN_UNPROTECTED = "run_alone"
    FOLLOW = "follow"
    RESTART = "restart"
    POWER_OFF = "power_off"
    LOST = "lost"


@dataclasses.dataclass(frozen=True)
class Decision:
    """An action and its reason.

    :param keep_reservation: with UNPROTECT: keep the reservation on the secondary's host, for a new secondary
        that is wanted soon
    :param planned: with FAILOVER: it was requested, no replica was lost
    """

    action: Action
    reason: Reason | None = None
    keep_reservation: bool = False
    planned: bool = False


@dataclasses.dataclass(frozen=True)
class Observation:
    """The last known condition of one host with respect to one server.

    :param alive: its agent answers
    :param replica: the replica of this server in its last report; None when the report has none
    """

    alive: bool
    replica: Replica | None = None

    @property
    def has_silent_qemu(self) -> bool:
        """Whether QEMU, or libvirt, does not answer the agent."""
        return self.replica is not None and self.replica.silent


#: Nova's statuses of servers whose guest does not run. Servers in another status, ACTIVE or not, stay
#: protected: the agents' reports decide then.
STOPPED = frozenset(
    {"SHUTOFF", "PAUSED", "SUSPENDED", "RESCUE", "SHELVED", "SHELVED_OFFLOADED", "SOFT_DELETED", "DELETED"}
)

#: Nova's statuses of servers that return on any host, or never: their secondaries' reservations are released.
AWAY = frozenset({"SHELVED", "SHELVED_OFFLOADED", "SOFT_DELETED", "DELETED", "ERROR"})

#: Roles of a host that has been given a grant.
HOLDERS = frozenset({Role.PRIMARY, Role.PROMOTED, Role.LEAVING})

NOTHING = Decision(Action.NONE)
GONE = Observation(alive=False)


@dataclasses.dataclass(frozen=True)
class NewerGrant:
    """A grant that a pair's row does not know: the database has lost a committed transaction.

    :param epoch: the newest epoch that a host has recorded
    :param hosts: the hosts that have recorded it
    :param primary: the host that has the grant; None when that is not certain
    :param secondary: the host of its secondary; None when it has none
    :param in_records: Nova's records name the primary's host
    """

    epoch: int
    hosts: tuple[str, ...]
    primary: str | None = None
    secondary: str | None = None
    in_records: bool = False

    def reason(self, known: int) -> Reason:
        """Return the reason why nothing may be done.

        :param known: the epoch that the row knows
        """
        return reasons.GRANT_LOST(lost=known, host=", ".join(self.hosts), epoch=self.epoch)


def newer_grant(pair: Pair, replicas: Mapping[str, Replica]) -> NewerGrant | None:
    """Return the newest grant if it is newer than a pair's row.

    If both replicas run in sync as the row says, the row is right: a newer epoch is from an earlier pair of
    this server, on a host that was away. While only one of them is as the row says, it is not certain who has
    the grant.

    :param pair: the pair, with no operation in progress, as read after the reports arrived
    :param replicas: the replicas of the server on all hosts that are alive
    """
    epoch = max((replica.epoch for replica in replicas.values()), default=pair.epoch)
    recorded = _hosts_as_recorded(pair, replicas)
    if epoch <= pair.epoch or recorded == {pair.primary_host, pair.secondary_host}:
        return None
    newest = {host: replica for host, replica in sorted(replicas.items()) if replica.epoch == epoch}
    unclear = NewerGrant(epoch, tuple(newest))
    holders = [host for host, replica in newest.items() if replica.role in HOLDERS]
    running = [host for host in holders if not newest[host].ended]
    if len(running or holders) != 1:
        return unclear
    host = (running or holders)[0]
    names_it = host in (pair.primary_host, pair.secondary_host) or host == pair.nova_host
    if not names_it and (recorded or pair.secondary_host is None):
        return unclear
    linked = [
        other for other, replica in newest.items() if replica.role == Role.SECONDARY and replica.link_up
    ]
    if newest[host].link_up and len(linked) != 1:
        return unclear  # its secondary's agent is silent at this moment
    secondary = linked[0] if newest[host].link_up else None
    # the role is PRIMARY, no longer PROMOTED, once Nova's records were updated
    return NewerGrant(epoch, tuple(newest), host, secondary, newest[host].role != Role.PROMOTED)


def _hosts_as_recorded(pair: Pair, replicas: Mapping[str, Replica]) -> set[str | None]:
    """Return those hosts of a pair whose replica runs as its row says."""
    found: set[str | None] = set()
    primary, secondary = replicas.get(pair.primary_host), replicas.get(pair.secondary_host or "")
    if primary is not None and primary.role in HOLDERS and primary.link_up is not False:
        found |= {pair.primary_host} if (primary.epoch, primary.ended) == (pair.epoch, False) else set()
    if secondary is not None and secondary.role == Role.SECONDARY:
        found |= {pair.secondary_host} if (secondary.epoch, secondary.ended) == (pair.epoch, False) else set()
    return found


def _runs(observation: Observation, role: Role, epoch: int) -> bool:
    replica = observation.replica
    return (
        observation.alive
        and replica is not None
        and replica.role == role
        and replica.epoch == epoch
        and replica.running
        and not replica.silent
    )


def _is_adopted(pair: Pair, primary: Observation) -> bool:
    """Return whether a server has run unprotected, on the host in Nova's records, since a failover.

    Nova may set it to ERROR shortly after the records were updated, when a new secondary is already being
    created.
    """
    unprotected = pair.nova_host == pair.primary_host and pair.secondary_host is None
    return unprotected and pair.epoch > 0 and _runs(primary, Role.PRIMARY, pair.epoch)


def _disks_equal(observation: Observation) -> bool:
    return observation.replica is None or observation.replica.disks_equal


def _is_leaving(observation: Observation) -> bool:
    return observation.alive and observation.replica is not None and observation.replica.role == Role.LEAVING


def _has_shut_down(pair: Pair, primary: Observation) -> bool:
    """Return whether the guest on the host with the grant has powered itself off.

    Its secondary would do so, too, or has, in which case the host may not have heard of its newest grant.
    """
    replica = primary.replica
    return (
        primary.alive
        and replica is not None
        and replica.role in HOLDERS
        and replica.epoch <= pair.epoch
        and (replica.running, replica.shut_down) == (False, True)
    )


def decide(pair: Pair, primary: Observation, secondary: Observation) -> Decision:
    """Return the operation to start for a pair that has no operation in progress.

    A silent agent alone proves nothing: its guest may still run. A host counts as lost when its agent is
    silent *and* the peer has lost the replication link to it. Nor has a QEMU ended that does not answer its
    agent: it is neither promoted nor given up while that may change.

    :param primary: observation of the host that holds the grant
    :param secondary: observation of the secondary's host; ignored while the pair has none
    """
    if pair.server_status == "ERROR" and pair.wanted == Wanted.PROTECTED and _is_adopted(pair, primary):
        return Decision(Action.FOLLOW, reasons.RECORDS_IN_ERROR(host=pair.primary_host))
    if pair.nova_host != pair.primary_host:
        if not primary.alive or primary.replica is None:
            return NOTHING
        if primary.replica.ended:
            # it is restarted there once Nova's records name that host
            return Decision(Action.FOLLOW, reasons.ENDED_BEFORE_RECORDS(host=pair.primary_host))
        return Decision(Action.FOLLOW, reasons.RECORDS_OUTDATED(host=pair.nova_host))
    if pair.secondary_host is None:
        return _decide_unprotected(pair, primary)
    if pair.server_status in STOPPED:
        reason = reasons.NOT_ACTIVE(status=pair.server_status)
        return Decision(Action.UNPROTECT, reason, keep_reservation=pair.server_status not in AWAY)
    if pair.wanted != Wanted.PROTECTED:
        action = Action.SUSPEND if pair.wanted == Wanted.SUSPENDED else Action.UNPROTECT
        return Decision(action, unwanted_reason(pair))
    if _is_leaving(primary):
        return Decision(Action.UNPROTECT, reasons.LEAVING(host=pair.primary_host), keep_reservation=True)
    if _has_shut_down(pair, primary):
        return Decision(Action.POWER_OFF, reasons.SHUT_DOWN(host=pair.primary_host))
    primary_ok = _runs(primary, Role.PRIMARY, pair.epoch)
    equal = _disks_equal(primary) and _disks_equal(secondary)
    secondary_ok = equal and _runs(secondary, Role.SECONDARY, pair.epoch)
    if primary_ok:
        if not equal:
            return Decision(Action.RUN_UNPROTECTED, reasons.SECONDARY_MISSED_WRITE(host=pair.secondary_host))
        return _decide_primary_runs(pair, primary, secondary, secondary_ok)
    if not primary.alive:
        return _decide_primary_silent(pair, secondary, secondary_ok, equal)
    if primary.replica is None:
        return Decision(Action.UNPROTECT, reasons.REPLACED(host=pair.primary_host), keep_reservation=True)
    if not secondary.alive or secondary.has_silent_qemu:
        return NOTHING
    if primary.replica.silent:
        return _decide_qemu_silent(pair, primary.replica, secondary.replica if secondary_ok else None)
    if secondary_ok:
        return Decision(Action.FAILOVER, reasons.PRIMARY_ENDED(host=pair.primary_host))
    if not equal:
        return Decision(Action.LOST, reasons.ENDED_AND_MISSED_WRITE(host=pair.primary_host))
    return Decision(Action.LOST, reasons.BOTH_ENDED())


def _decide_unprotected(pair: Pair, primary: Observation) -> Decision:
    if pair.reserved_host and (pair.server_status in AWAY or pair.wanted == Wanted.UNPROTECTED):
        return Decision(Action.UNPROTECT, idle_reason(pair))
    if pair.server_status != "ACTIVE" or not primary.alive or _is_leaving(primary):
        return NOTHING
    if _has_shut_down(pair, primary):
        return Decision(Action.POWER_OFF, reasons.SHUT_DOWN(host=pair.primary_host))
    if primary.has_silent_qemu:
        return NOTHING
    if primary.replica is not None and primary.replica.ended:
        return Decision(Action.RESTART, reasons.UNPROTECTED_ENDED(host=pair.primary_host))
    if primary.replica is not None and (
        primary.replica.link_up is False or primary.replica.epoch < pair.epoch
    ):
        return Decision(Action.RUN_UNPROTECTED, reasons.WAITS_FOR_LOST_PEER(host=pair.primary_host))
    if idle_reason(pair):
        return NOTHING
    return Decision(Action.PROTECT)


def _decide_primary_runs(
    pair: Pair, primary: Observation, secondary: Observation, secondary_ok: bool
) -> Decision:
    if primary.replica is not None and primary.replica.link_up is False:
        lost = reasons.LINK_LOST if secondary.alive else reasons.SECONDARY_HOST_LOST
        return Decision(Action.RUN_UNPROTECTED, lost(host=pair.secondary_host))
    if secondary.alive and not secondary_ok:
        if not secondary.has_silent_qemu:
            return Decision(Action.RUN_UNPROTECTED, reasons.SECONDARY_ENDED(host=pair.secondary_host))
        if secondary.replica is not None and not secondary.replica.running:
            # QEMU itself is silent, and clients wait for it; the primary answers, so nothing can be lost
            return Decision(Action.RUN_UNPROTECTED, reasons.SECONDARY_SILENT(host=pair.secondary_host))
    if secondary_ok and pair.state == State.PROTECTED and pair.return_to == pair.secondary_host:
        return Decision(Action.FAILOVER, reasons.TEST_RETURN(host=pair.return_to), planned=True)
    return NOTHING


def _decide_primary_silent(pair: Pair, secondary: Observation, secondary_ok: bool, equal: bool) -> Decision:
    if secondary_ok and secondary.replica is not None and secondary.replica.link_up is False:
        return Decision(Action.FAILOVER, reasons.HOST_LOST(host=pair.primary_host))
    if not secondary.alive or secondary.has_silent_qemu:
        return NOTHING
    if not equal and _runs(secondary, Role.SECONDARY, pair.epoch):
        if secondary.replica is None or secondary.replica.link_up is not False:
            return NOTHING  # the primary runs: only its agent is silent
        return Decision(Action.LOST, reasons.LOST_AND_MISSED_WRITE(host=pair.primary_host))
    if not secondary_ok:
        return Decision(Action.LOST, reasons.HOST_AND_SECONDARY_LOST(host=pair.primary_host))
    return NOTHING


def _decide_qemu_silent(pair: Pair, primary: Replica, secondary: Replica | None) -> Decision:
    """Return what to do about a primary that does not answer its agent.

    :param secondary: the secondary if it can be promoted
    """
    # perhaps only libvirt does not answer, and the guest runs
    if secondary is not None and (not primary.running or secondary.link_up is False):
        return Decision(Action.FAILOVER, reasons.PRIMARY_SILENT(host=pair.primary_host))
    return NOTHING


def idle_reason(pair: Pair) -> Reason | None:
    """Return why a pair has no secondary and gets none now; None when it has one or should get one."""
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
    """Return the request by which a pair has no secondary; None when its users want one."""
    match pair.wanted:
        case Wanted.UNPROTECTED:
            return reasons.UNPROTECTED_ON_REQUEST()
        case Wanted.SUSPENDED:
            return reasons.SUSPENDED_ON_REQUEST()
    return None


def is_orphaned(pair: Pair | None, host_name: str, replica: Replica) -> bool:
    """Return whether a host's replica of a server is orphaned, so that its QEMU must be destroyed.

    :param pair: the server's pair, with no operation in progress; None when the server was deleted or is no
        longer an FT server
    """
    if pair is None:
        return True
    if replica.epoch > pair.epoch:
        return False  # the pair's row is older than the host's report
    if host_name == pair.primary_host:
        return False
    if host_name == pair.secondary_host:
        return replica.role != Role.SECONDARY or replica.epoch != pair.epoch
    return host_name != pair.nova_host
