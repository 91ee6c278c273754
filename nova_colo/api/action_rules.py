# SPDX-License-Identifier: Apache-2.0
"""Nova's own actions on FT servers: each is passed on to Nova, or refused with the reason and the remedy.

Whoever Nova would refuse anyway is passed on, so that nobody learns from us what Nova does not tell. When the FT database is
away, Nova says whether a server is fault tolerant; what would break a pair is then refused for FT servers, all else passes.
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


def action(service: Service, nova: Any, request: wsgi.Request, server_id: str) -> None:
    """POST /servers/{id}/action

    :raises webob.exc.HTTPConflict: when the pair cannot follow
    :raises webob.exc.HTTPBadRequest: when the server would become one that fault tolerance cannot carry
    :raises webob.exc.HTTPServiceUnavailable: when that cannot be told now
    """
    name, arguments = _action(request)
    rule = rules.ACTIONS.get(name)
    if rule is None:
        return  # Nova says what is wrong with it
    row = _check(service, nova, request, server_id, rule)
    if name == "resize":
        eligibility.resize(nova, request, server_id, arguments)
    elif name == "rebuild" and row is not None:
        eligibility.rebuild(request, arguments)


def guarding(name: str) -> Callable[[Service, Any, wsgi.Request, str], None]:
    """Return the handler of a request that has a path of its own.

    :param name: one of pair.guard.REQUESTS
    """
    rule = rules.REQUESTS[name]

    def handler(service: Service, nova: Any, request: wsgi.Request, server_id: str) -> None:
        _check(service, nova, request, server_id, rule)

    return handler


def _action(request: wsgi.Request) -> tuple[str, Any]:
    """Return the action that Nova will find in a body, by its own rules (wsgi.action_peek), and its arguments."""
    try:
        body = jsonutils.loads(request.body)
    except ValueError:
        return "", None
    return next(iter(body.items())) if isinstance(body, dict) and len(body) == 1 else ("", None)


def _check(
    service: Service, nova: Any, request: wsgi.Request, server_id: str, rule: Rule
) -> pairs.Pair | None:
    """Refuse what a pair cannot follow; gives the pair of an FT server whose caller Nova would let do it."""
    if rule.effect == Effect.NONE:
        return None
    try:
        with service.database.reader() as session:
            row = pairs.get(session, server_id)
    except Exception:
        LOG.exception("The pair of server %s could not be looked up.", server_id)
        _check_without_database(nova, request, server_id, rule)
        return None
    if row is None or not _may(request, rule, row.project_id, row.user_id):
        return None
    if row.operation_id is None or request.headers.get(rules.OPERATION_HEADER) != row.operation_id:
        reason = rules.refusal(rule, pairs.core(row), busy=row.operation_id is not None)
        if reason is not None:
            raise refused(webob.exc.HTTPConflict, reason)
    return row


def _may(request: wsgi.Request, rule: Rule, project_id: str, user_id: str) -> bool:
    """Return whether Nova would let the caller do it: it finds servers of other projects for admins only."""
    context = request.environ["nova.context"]
    if not context.is_admin and context.project_id != project_id:
        return False
    target = {"project_id": project_id, "user_id": user_id}
    return any(context.can(policy, target, fatal=False) for policy in rule.policies)


def _check_without_database(nova: Any, request: wsgi.Request, server_id: str, rule: Rule) -> None:
    """Refuse what might break a pair, for a server whose flavor says that it may have one."""
    if rule.effect not in (Effect.BREAKS, Effect.ATTACHES):
        return
    shown = nova.fetch(request, f"/servers/{server_id}", SERVER_MICROVERSION, elevated=True)
    if shown.status_int in (400, 403, 404):
        return  # Nova will say the same
    if shown.status_int != 200:
        LOG.error("Nova does not show server %s: %s", server_id, shown.status)
        raise webob.exc.HTTPServiceUnavailable(
            explanation="Whether the server is fault tolerant cannot be told now. Try again later."
        )
    server = shown.json_body["server"]
    if _may(request, rule, server["tenant_id"], server["user_id"]) and is_fault_tolerant(server["flavor"]):
        raise webob.exc.HTTPServiceUnavailable(
            explanation="The server is fault tolerant, and what state its pair is in cannot be read now. Try again later."
        )
