# SPDX-License-Identifier: Apache-2.0
"""What users may ask of a pair: when it is refused, with the remedy, and what is started when it is not."""

import dataclasses
from typing import Any

from nova_colo.pair.arbitration import unwanted_reason
from nova_colo.pair.health import with_health
from nova_colo.pair.model import Pair, State, Wanted, actual_mode
from nova_colo.pair.words import host

FAILOVER = "failover"
PROTECT = "ft-protect"
UNPROTECT = "ft-unprotect"
SUSPEND = "ft-suspend"
RESUME = "ft-resume"
TEST_FAILOVER = "ft-test-failover"
MIGRATE_SECONDARY = "ft-migrate-secondary"
SET_MODE = "ft-set-mode"

#: By the names they have on the wire.
ACTIONS = (FAILOVER, PROTECT, UNPROTECT, SUSPEND, RESUME, TEST_FAILOVER, MIGRATE_SECONDARY, SET_MODE)

_WAIT_FAILOVER = "A failover of this server is in progress. Wait until it has finished."
_WAIT_STARTING = "The secondary is still being made. Wait until the server is protected."
_NO_SECONDARY = (
    "The server has no healthy secondary to fail over to. Wait until it is protected again, or free capacity on another host."
)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to do about a request that is not refused.

    :param kind: the workflow to start; None when it is enough to set ``values`` and record ``event``
    :param params: the workflow's parameters
    :param values: columns of the pair to set at once
    """

    kind: str | None
    params: dict[str, Any]
    values: dict[str, Any]
    event: str


def refusal(action: str, pair: Pair, *, force: bool = False) -> str:
    """Return why a requested action must be refused, with the remedy; an empty string when it may start.

    :param action: one of ACTIONS
    :param force: only for a failover: also when the pair is not healthy
    """
    if pair.state == State.FAILING_OVER:
        return _WAIT_FAILOVER
    match action:
        case "failover":
            return _failover(pair, force)
        case "ft-test-failover" | "ft-migrate-secondary":
            return _needs_protection(pair)
        case "ft-protect":
            return _protect(pair)
        case "ft-unprotect":
            gone = pair.wanted == Wanted.UNPROTECTED
            return "The server is unprotected already. Protect it with ft-protect." if gone else ""
        case "ft-suspend":
            return _suspend(pair)
        case "ft-resume":
            return "" if pair.wanted == Wanted.SUSPENDED else "The server's protection is not suspended."
    return ""


def _failover(pair: Pair, force: bool) -> str:
    if pair.secondary_host is None:
        if pair.state == State.STARTING:
            return _WAIT_STARTING
        return _without_protection(pair) or _NO_SECONDARY
    if pair.state != State.PROTECTED and not force:
        return f"The pair is {pair.state}, not protected. Wait until it is protected, or force the failover."
    return ""


def _without_protection(pair: Pair) -> str:
    match pair.wanted:
        case Wanted.SUSPENDED:
            return "The server's protection is suspended. Resume it with ft-resume first."
        case Wanted.UNPROTECTED:
            return "The server is unprotected. Protect it with ft-protect first."
    return ""


def _needs_protection(pair: Pair) -> str:
    if pair.state == State.PROTECTED and pair.secondary_host is not None:
        return ""
    if pair.state == State.STARTING:
        return _WAIT_STARTING
    return _without_protection(pair) or f"The pair is {pair.state}, not protected. Wait until it is protected."


def _protect(pair: Pair) -> str:
    if pair.wanted == Wanted.SUSPENDED:
        return "The server's protection is suspended. Resume it with ft-resume."
    if pair.secondary_host is not None:
        return "The server is protected already."
    return _WAIT_STARTING if pair.state == State.STARTING else ""


def _suspend(pair: Pair) -> str:
    if pair.wanted == Wanted.SUSPENDED:
        return "The server's protection is suspended already. Resume it with ft-resume."
    return _needs_protection(pair)


def plan(action: str, pair: Pair, arguments: dict[str, Any]) -> Plan:
    """Return what a request starts.

    :param action: one of ACTIONS
    :param arguments: the action's body as validated, an empty dict for null
    """
    made = _plan(action, pair, arguments)
    return dataclasses.replace(made, values=with_health(pair, made.values))


def _plan(action: str, pair: Pair, arguments: dict[str, Any]) -> Plan:
    base = {"source": pair.primary_host, "target": pair.secondary_host, "epoch": pair.epoch, "previous_state": pair.state}
    match action:
        case "failover":
            reason = "requested by force" if arguments.get("force") else "requested"
            return _fail_over(base, reason, {})
        case "ft-test-failover":
            back = {"return_to": pair.primary_host} if arguments.get("return") else {}
            return _fail_over(base, "a test failover was requested", back)
        case "ft-migrate-secondary":
            params = base | {"target": None, "old": pair.secondary_host, "wanted_host": arguments.get("host")}
            values = {"state": State.STARTING, "state_reason": "The secondary is being moved."}
            return Plan("move_secondary", params, values, "A move of the secondary was requested.")
        case "ft-unprotect" | "ft-suspend":
            return _take_off(pair, base, action)
        case "ft-set-mode":
            return _set_mode(pair, base, arguments["mode"])
    return _put_on(pair, action)


def _fail_over(base: dict[str, Any], reason: str, values: dict[str, Any]) -> Plan:
    values = {"state": State.FAILING_OVER, "state_reason": f"Failing over: {reason}.", "return_to": None} | values
    return Plan("failover", base | {"reason": reason, "planned": True}, values, f"Failover: {reason}.")


def _take_off(pair: Pair, base: dict[str, Any], action: str) -> Plan:
    suspend = action == SUSPEND
    wanted = Wanted.SUSPENDED if suspend else Wanted.UNPROTECTED
    done = unwanted_reason(dataclasses.replace(pair, wanted=wanted))
    values: dict[str, Any] = {"wanted": wanted, "return_to": None}
    if pair.secondary_host is None and pair.reserved_host is None:
        # one that is being made stops by itself when it sees what is wanted
        if pair.state != State.STARTING:
            values |= {"state": State.UNPROTECTED, "state_reason": done, "first_error": None, "retry_at": None, "attempts": 0}
        return Plan(None, {}, values, done)
    kind = "suspend" if suspend else "unprotect"
    return Plan(kind, base | {"reason": done}, values, f"The removal of protection ({action}) was requested.")


def _put_on(pair: Pair, action: str) -> Plan:
    values: dict[str, Any] = {"wanted": Wanted.PROTECTED, "retry_at": None, "attempts": 0}
    if pair.state != State.ERROR:
        values |= {"state": State.UNPROTECTED, "state_reason": "The server waits for its secondary."}
    done = "Protection was resumed on request." if action == RESUME else "Protection was requested."
    return Plan(None, {}, values, done)


def _set_mode(pair: Pair, base: dict[str, Any], mode: str) -> Plan:
    event = f"Mode {mode} was requested."
    if pair.secondary_host is None:
        return Plan(None, {}, {"mode_policy": mode, "mode": actual_mode(mode)}, event)
    return Plan("set_mode", base | {"mode": mode}, {}, event)


def refusal_of_host(pair: Pair, wanted_host: str) -> str:
    """Return why a secondary cannot move to a named host because of where the pair is; an empty string when it can."""
    if wanted_host == pair.primary_host:
        return f"The primary runs on {host(wanted_host)}. Name another host, or none."
    if wanted_host == pair.secondary_host:
        return f"The secondary is on {host(wanted_host)} already. Name another host, or none."
    return ""
