# SPDX-License-Identifier: Apache-2.0
"""Rules for Nova's own actions on FT servers: pass a request on, or refuse it with the reason and the remedy.

A request that Nova would refuse anyway is passed on, so that the filter discloses nothing that Nova does not.
When the FT database is down, the server's flavor in Nova's answer shows whether it is fault tolerant; an
action that would break a pair is then refused for FT servers, and all others pass.
"""

from collections.abc import Callable
from typing import Any

import webob.exc
from nova.api.openstack import wsgi
from oslo_log import log as logging
from oslo_serialization import jsonutils

from nova_colo.api import eligibility
from nova_colo.api.service import SERVER_MICROVERSION, Service, refused
from nova_colo.db import pairs
from nova_colo.pair import action_rules as rules
from nova_colo.pair.action_rules import Effect, Rule
from nova_colo.pair.model import is_fault_tolerant

LOG = logging.getLogger(__name__)

#: Effects of actions that are refused when it is not known whether the server has a pair.
_HARMFUL = (Effect.BREAKS, Effect.ATTACHES)


def action(service: Service, nova: Any, request: wsgi.Request, server_id: str) -> None:
    """POST /servers/{id}/action

    :raises webob.exc.HTTPConflict: when the action is not possible for the pair
    :raises webob.exc.HTTPBadRequest: when the server would become one that cannot be fault tolerant
    :raises webob.exc.HTTPServiceUnavailable: when that cannot be determined, without the FT database
    """
    name, arguments = _action(request)
    rule = rules.ACTIONS.get(name)
    if rule is None:
        return  # Nova refuses it
    row = _check_rule(service, nova, request, server_id, rule)
    if name == "resize":
        eligibility.resize(nova, request, server_id, arguments)
    elif name == "rebuild" and row is not None:
        eligibility.rebuild(request, arguments)


def rule_handler(name: str) -> Callable[[Service, Any, wsgi.Request, str], None]:
    """Return the handler that applies the rule of a request with a path of its own.

    :param name: one of pair.action_rules.REQUESTS
    """
    rule = rules.REQUESTS[name]

    def handler(service: Service, nova: Any, request: wsgi.Request, server_id: str) -> None:
        _check_rule(service, nova, request, server_id, rule)

    return handler


def _action(request: wsgi.Request) -> tuple[str, Any]:
    """Return the action in a body, by the rules of nova.api.openstack.wsgi:action_peek, and its arguments."""
    try:
        body = jsonutils.loads(request.body)
    except ValueError:
        return "", None
    return next(iter(body.items())) if isinstance(body, dict) and len(body) == 1 else ("", None)


def _check_rule(
    service: Service, nova: Any, request: wsgi.Request, server_id: str, rule: Rule
) -> pairs.Pair | None:
    """Apply a rule. Return the pair of an FT server, if Nova's policy allows the caller the request.

    :raises webob.exc.HTTPConflict: when the pair does not allow it
    :raises webob.exc.HTTPServiceUnavailable: when that cannot be determined, and it might break the pair
    """
    if rule.effect == Effect.NONE:
        return None
    try:
        return _apply(service, nova, request, server_id, rule)
    except webob.exc.HTTPException:
        raise
    except Exception as error:
        if rule.effect not in _HARMFUL:
            raise
        LOG.exception("Failed to check a request on server %s; it is refused.", server_id)
        raise webob.exc.HTTPServiceUnavailable(
            explanation="Whether the server's pair allows this cannot be determined now. Try again later."
        ) from error


def _apply(
    service: Service, nova: Any, request: wsgi.Request, server_id: str, rule: Rule
) -> pairs.Pair | None:
    try:
        with service.database.reader() as session:
            row = pairs.get(session, server_id)
    except Exception:
        LOG.exception("Failed to read the pair of server %s", server_id)
        _check_without_database(nova, request, server_id, rule)
        return None
    if row is None or not _is_allowed(request, rule, row.project_id, row.user_id):
        return None
    if not _is_from_engine(request, row):
        reason = rules.refusal(rule, pairs.to_model(row), busy=row.operation_id is not None)
        if reason is not None:
            raise refused(webob.exc.HTTPConflict, reason)
    return row


def _is_from_engine(request: wsgi.Request, row: pairs.Pair) -> bool:
    """Return whether an engine sends the request: as an administrator, for the operation on the pair."""
    named = request.headers.get(rules.OPERATION_HEADER)
    is_admin: bool = request.environ["nova.context"].is_admin
    return is_admin and row.operation_id is not None and named == row.operation_id


def _is_allowed(request: wsgi.Request, rule: Rule, project_id: str, user_id: str) -> bool:
    """Return whether Nova would allow the request: it shows servers of other projects to admins only."""
    context = request.environ["nova.context"]
    if not context.is_admin and context.project_id != project_id:
        return False
    target = {"project_id": project_id, "user_id": user_id}
    return any(context.can(policy, target, fatal=False) for policy in rule.policies)


def _check_without_database(nova: Any, request: wsgi.Request, server_id: str, rule: Rule) -> None:
    """Refuse an action that might break a pair, for a server with a fault tolerant flavor."""
    if rule.effect not in _HARMFUL:
        return
    response = nova.fetch(request, f"/servers/{server_id}", SERVER_MICROVERSION, elevated=True)
    if response.status_int in (400, 403, 404):
        return  # Nova refuses the action in the same way
    if response.status_int != 200:
        LOG.error("GET of server %s from Nova failed: %s", server_id, response.status)
        raise webob.exc.HTTPServiceUnavailable(
            explanation="Whether the server is fault tolerant cannot be determined now. Try again later."
        )
    server = response.json_body["server"]
    if _is_allowed(request, rule, server["tenant_id"], server["user_id"]) and is_fault_tolerant(
        server["flavor"]
    ):
        raise webob.exc.HTTPServiceUnavailable(
            explanation="The server is fault tolerant, and the state of its pair cannot be read now. "
            "Try again later."
        )
