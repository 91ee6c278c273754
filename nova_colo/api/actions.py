# SPDX-License-Identifier: Apache-2.0
"""The actions on pairs: failover, ft-protect and others."""

import json
from typing import Any

import webob
import webob.exc
from nova.api.openstack import wsgi
from oslo_utils import timeutils

from nova_colo.api import eligibility
from nova_colo.api import hosts as host_views
from nova_colo.api.fault_tolerance import find_pair
from nova_colo.api.rights import Caller
from nova_colo.api.schemas import actions as schema
from nova_colo.api.servers import pair_by_secondary_id
from nova_colo.api.service import Server, Service, refused, validate, with_microversion
from nova_colo.db import events, hosts, operations, pairs, retry_on_deadlock
from nova_colo.pair import actions, reasons
from nova_colo.pair.reasons import Reason
from nova_colo.policies import actions as policy


def act(service: Service, nova: Any, request: wsgi.Request, server_id: str) -> webob.Response:
    """POST /servers/{id}/action with an action on the pair."""
    body = _body(request)
    (action,) = body
    pair = pair_by_secondary_id(service, request, server_id)
    server = nova.server(request, pair.server_id if pair else server_id)
    service.must(request, policy.RULES[action], server.target)
    validate(body, schema.BODIES[action])
    arguments = body[action] or {}
    force, host = bool(arguments.get("force")), arguments.get("host")
    if force:
        service.must(request, policy.FORCE, server.target)
    if host is not None:
        service.must(request, policy.MIGRATE_HOST, server.target)
    _refuse_locked(request, server)
    row = find_pair(service, server)
    refusal = actions.refusal(action, pairs.to_model(row), force=force)
    if refusal is None and host is not None:
        refusal = _refusal_of_host(service, row, host)
    if refusal is None and action == actions.MIGRATE_SECONDARY:
        refusal = _too_often(service, row)
    if refusal is not None:
        raise refused(webob.exc.HTTPConflict, refusal, Caller(service, request).rights(row).hosts)
    if action == actions.PROTECT:
        eligibility.protect(nova, request, row.server_id)
    _start(service, request, row, action, arguments)
    return with_microversion(request, webob.Response(status=202, content_type="application/json"))


def is_ours(environ: dict[str, Any], match: dict[str, Any]) -> bool:
    """Return whether a body is an action on a pair, as a condition of Routes.

    All other bodies, malformed ones included, are Nova's.
    """
    body = _body(wsgi.Request(environ))
    return isinstance(body, dict) and len(body) == 1 and next(iter(body)) in actions.ACTIONS


def _body(request: wsgi.Request) -> Any:
    try:
        return json.loads(request.body)
    except (ValueError, RecursionError):
        return None


def _refuse_locked(request: wsgi.Request, server: Server) -> None:
    """Refuse actions on a locked server as Nova does: nova.compute.api:check_instance_lock."""
    if server.locked and not request.environ["nova.context"].is_admin:
        raise refused(webob.exc.HTTPConflict, reasons.LOCKED(server=server.id))


def _refusal_of_host(service: Service, row: pairs.Pair, host: str) -> Reason | None:
    """Return the reason why the secondary cannot move to a named host; None when it can.

    :raises webob.exc.HTTPBadRequest: when there is no such host
    """
    with service.database.reader() as session:
        known = {row.host: row for row in hosts.all_hosts(session)}
    if host not in known:
        raise refused(webob.exc.HTTPBadRequest, reasons.HOST_UNKNOWN(host=host))
    if refusal := actions.refusal_of_host(pairs.to_model(row), host):
        return refusal
    now = timeutils.utcnow()
    if not host_views.is_up(known[host], now):
        return reasons.HOST_AGENT_SILENT(host=host)
    if not host_views.is_capable(known[host]):
        return reasons.HOST_INCAPABLE(host=host, reasons=host_views.unmet_requirements(known[host], now))
    return None


def _too_often(service: Service, row: pairs.Pair) -> Reason | None:
    """Return the refusal of one more copy of a server's disks within this hour; None when it may be made."""
    limit = service.conf.engine.max_protects_per_hour
    with service.database.reader() as session:
        copies = operations.copies_within_hour(session, row.server_id)
    return reasons.MOVED_TOO_OFTEN(number=copies) if copies >= limit else None


def _start(
    service: Service, request: wsgi.Request, row: pairs.Pair, action: str, arguments: dict[str, Any]
) -> None:
    """Record the action and notify the engines; without a broker they find the record by polling."""
    if not _record(service, request, row, action, arguments):
        raise refused(webob.exc.HTTPConflict, reasons.WAIT_BUSY())
    service.notify_engines()


@retry_on_deadlock
def _record(
    service: Service, request: wsgi.Request, row: pairs.Pair, action: str, arguments: dict[str, Any]
) -> bool:
    """Record the action.

    :returns: whether it was recorded: False when the pair has changed since it was read, or has an operation
        in progress
    """
    context = request.environ["nova.context"]
    plan = actions.plan(action, pairs.to_model(row), arguments)
    by = {"request_id": context.request_id, "user_id": context.user_id}
    with service.database.writer() as session:
        if plan.kind is None:
            started = pairs.update_if_current(session, row, **plan.values)
        else:
            operation_id = operations.start(
                session,
                row,
                plan.kind,
                plan.params.data(),
                requested_by=context.user_id,
                request_id=context.request_id,
                **plan.values,
            )
            started = operation_id is not None
        if started:
            events.add(session, row.server_id, action, plan.event, **by)
    return started
