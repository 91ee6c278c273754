# SPDX-License-Identifier: Apache-2.0
"""Actions that users request on a pair: when each is refused, and which workflow it starts otherwise."""

import dataclasses
from typing import Any

from nova_colo.pair import reasons
from nova_colo.pair.model import Pair, State, Wanted, actual_mode
from nova_colo.pair.operation import FailoverParams, ModeParams, MoveParams, Params, UnprotectParams
from nova_colo.pair.reasons import Reason

FAILOVER = "failover"
PROTECT = "ft-protect"
UNPROTECT = "ft-unprotect"
SUSPEND = "ft-suspend"
RESUME = "ft-resume"
TEST_FAILOVER = "ft-test-failover"
MIGRATE_SECONDARY = "ft-migrate-secondary"
SET_MODE = "ft-set-mode"

#: All actions, by their names in the API.
ACTIONS = (FAILOVER, PROTECT, UNPROTECT, SUSPEND, RESUME, TEST_FAILOVER, MIGRATE_SECONDARY, SET_MODE)


@dataclasses.dataclass(frozen=True)
class Plan:
    """How to carry out a request that is not refused.

    :param kind: the workflow to start; None when it is enough to set ``values`` and record ``event``
    :param params: of the workflow
    :param values: columns of the pair to set at once
    """

    kind: str | None
    params: Params
    values: dict[str, Any]
    event: Reason


def refusal(action: str, pair: Pair, *, force: bool = False) -> Reason | None:
    """Return why a requested action must be refused; None when it may start.

    :param action: one of ACTIONS
    :param force: only for a failover: also when its state is not protected
    """
    if pair.state == State.FAILING_OVER:
        return reasons.WAIT_FAILOVER()
    match action:
        case "failover":
            return _refuse_failover(pair, force)
        case "ft-test-failover" | "ft-migrate-secondary":
            return _refuse_unless_protected(pair)
        case "ft-protect":
            return _refuse_protect(pair)
        case "ft-unprotect":
            return reasons.UNPROTECTED_ALREADY() if pair.wanted == Wanted.UNPROTECTED else None
        case "ft-suspend":
            return _refuse_suspend(pair)
        case "ft-resume":
            return None if pair.wanted == Wanted.SUSPENDED else reasons.NOT_SUSPENDED()
    return None


def _refuse_failover(pair: Pair, force: bool) -> Reason | None:
    if pair.secondary_host is None:
        if pair.state == State.STARTING:
            return reasons.WAIT_STARTING()
        return _refuse_unwanted(pair) or reasons.NO_HEALTHY_SECONDARY()
    if pair.state != State.PROTECTED and not force:
        return reasons.NOT_PROTECTED_FORCE(state=pair.state)
    return None


def _refuse_unwanted(pair: Pair) -> Reason | None:
    match pair.wanted:
        case Wanted.SUSPENDED:
            return reasons.RESUME_FIRST()
        case Wanted.UNPROTECTED:
            return reasons.PROTECT_FIRST()
    return None


def _refuse_unless_protected(pair: Pair) -> Reason | None:
    if pair.state == State.PROTECTED and pair.secondary_host is not None:
        return None
    if pair.state == State.STARTING:
        return reasons.WAIT_STARTING()
    return _refuse_unwanted(pair) or reasons.NOT_PROTECTED_YET(state=pair.state)


def _refuse_protect(pair: Pair) -> Reason | None:
    if pair.wanted == Wanted.SUSPENDED:
        return reasons.RESUME_INSTEAD()
    if pair.secondary_host is not None:
        return reasons.PROTECTED_ALREADY()
    return reasons.WAIT_STARTING() if pair.state == State.STARTING else None


def _refuse_suspend(pair: Pair) -> Reason | None:
    if pair.wanted == Wanted.SUSPENDED:
        return reasons.SUSPENDED_ALREADY()
    return _refuse_unless_protected(pair)


def plan(action: str, pair: Pair, arguments: dict[str, Any]) -> Plan:
    """Return the plan of a request that is not refused.

    :param action: one of ACTIONS
    :param arguments: the action's body as validated, an empty dict for null
    """
    base: dict[str, Any] = {"source": pair.primary_host, "epoch": pair.epoch, "previous_state": pair.state}
    match action:
        case "failover":
            reason = reasons.REQUESTED_BY_FORCE() if arguments.get("force") else reasons.REQUESTED()
            return _plan_failover(pair, base, reason, {})
        case "ft-test-failover":
            back = {"return_to": pair.primary_host} if arguments.get("return") else {}
            return _plan_failover(pair, base, reasons.TEST_REQUESTED(), back)
        case "ft-migrate-secondary":
            params = MoveParams(**base, old=pair.secondary_host, wanted_host=arguments.get("host"))
            values = {"state": State.STARTING, "state_reason": reasons.MOVING_SECONDARY()}
            return Plan("move_secondary", params, values, reasons.MOVE_REQUESTED())
        case "ft-unprotect" | "ft-suspend":
            return _plan_removal(pair, base, action)
        case "ft-set-mode":
            return _plan_mode(pair, base, arguments["mode"])
    return _plan_protection(pair, action)


def _plan_failover(pair: Pair, base: dict[str, Any], reason: Reason, values: dict[str, Any]) -> Plan:
    values = {
        "state": State.FAILING_OVER,
        "state_reason": reasons.FAILING_OVER(reason=reason),
        "return_to": None,
    } | values
    params = FailoverParams(**base, target=pair.secondary_host or "", reason=reason.data(), planned=True)
    return Plan("failover", params, values, reasons.FAILOVER_REQUESTED(reason=reason))


def _plan_removal(pair: Pair, base: dict[str, Any], action: str) -> Plan:
    suspend = action == SUSPEND
    wanted = Wanted.SUSPENDED if suspend else Wanted.UNPROTECTED
    done = reasons.SUSPENDED_ON_REQUEST() if suspend else reasons.UNPROTECTED_ON_REQUEST()
    values: dict[str, Any] = {"wanted": wanted, "return_to": None}
    if pair.secondary_host is None and pair.reserved_host is None:
        # a running creation of a secondary is cancelled by the change of ``wanted``
        if pair.state != State.STARTING:
            values |= {
                "state": State.UNPROTECTED,
                "state_reason": done,
                "first_error": None,
                "retry_at": None,
                "attempts": 0,
            }
        return Plan(None, Params(), values, done)
    kind = "suspend" if suspend else "unprotect"
    params = UnprotectParams(**base, target=pair.secondary_host, reason=done.data())
    event = reasons.SUSPENSION_REQUESTED() if suspend else reasons.REMOVAL_REQUESTED()
    return Plan(kind, params, values, event)


def _plan_protection(pair: Pair, action: str) -> Plan:
    values: dict[str, Any] = {"wanted": Wanted.PROTECTED, "retry_at": None, "attempts": 0}
    if pair.state != State.ERROR:
        values |= {"state": State.UNPROTECTED, "state_reason": reasons.WAITING()}
    done = reasons.PROTECTION_RESUMED() if action == RESUME else reasons.PROTECTION_REQUESTED()
    return Plan(None, Params(), values, done)


def _plan_mode(pair: Pair, base: dict[str, Any], mode: str) -> Plan:
    event = reasons.MODE_REQUESTED(mode=mode)
    if pair.secondary_host is None:
        return Plan(None, Params(), {"mode_policy": mode, "mode": actual_mode(mode)}, event)
    return Plan("set_mode", ModeParams(**base, mode=mode), {}, event)


def refusal_of_host(pair: Pair, wanted_host: str) -> Reason | None:
    """Return why a secondary cannot move to a named host: a replica is there already; None when it can."""
    if wanted_host == pair.primary_host:
        return reasons.PRIMARY_IS_THERE(host=wanted_host)
    if wanted_host == pair.secondary_host:
        return reasons.SECONDARY_IS_THERE(host=wanted_host)
    return None
