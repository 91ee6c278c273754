# SPDX-License-Identifier: Apache-2.0
"""Discovery, list and show of fault tolerance."""

from typing import Any

import webob
import webob.exc
from nova.api.openstack import wsgi
from oslo_utils import strutils

from nova_colo.api import schemas, views
from nova_colo.api.service import Server, Service, answer, validate
from nova_colo.db import hosts, pairs
from nova_colo.policies import failover as failover_policy
from nova_colo.policies import fault_tolerance as policy

VERSION = "1.0"


def discover(service: Service, nova: Any, request: wsgi.Request, server_id: None) -> webob.Response:
    """GET /os-fault-tolerance"""
    context = request.environ["nova.context"]
    own = {"project_id": context.project_id, "user_id": context.user_id}
    service.must(request, policy.DISCOVER, own)
    with service.database.reader() as session:
        simulated = any(row.backend == "simulated" for row in hosts.all_hosts(session))
    body = {
        "version": VERSION,
        "modes": ["colo"],
        "actions": ["failover"],
        "can_see_hosts": service.may(request, policy.HOSTS, own),
        "simulated": simulated,
    }
    return answer(request, {"fault_tolerance": body})


def index(service: Service, nova: Any, request: wsgi.Request, server_id: None) -> webob.Response:
    """GET /os-fault-tolerance/servers"""
    validate(dict(request.GET), schemas.INDEX_QUERY)
    context = request.environ["nova.context"]
    own = {"project_id": context.project_id, "user_id": context.user_id}
    project_id = context.project_id
    service.must(request, policy.INDEX, own)
    if strutils.bool_from_string(request.GET.get("all_tenants", "0")):
        service.must(request, policy.INDEX_ALL, own)
        project_id = None
    with service.database.reader() as session:
        rows = pairs.all_pairs(session, project_id)
    return answer(request, {"servers": [views.pair(row, _rights(service, request, row)) for row in rows]})


def show(service: Service, nova: Any, request: wsgi.Request, server_id: str) -> webob.Response:
    """GET /servers/{id}/os-fault-tolerance"""
    server = nova.server(request, server_id)
    service.must(request, policy.SHOW, server.target)
    row = find_pair(service, server)
    return answer(request, {"fault_tolerance": views.pair(row, _rights(service, request, row))})


def find_pair(service: Service, server: Server) -> pairs.Pair:
    """Return the pair of a server that the caller may see.

    :raises webob.exc.HTTPBadRequest: when it is no FT server
    :raises webob.exc.HTTPConflict: when the engine has not taken notice of it yet
    """
    with service.database.reader() as session:
        row = pairs.get(session, server.id)
    if row is None and server.fault_tolerant:
        raise webob.exc.HTTPConflict(explanation=f"Instance {server.id} has no secondary yet. Wait until it is protected.")
    if row is None:
        raise webob.exc.HTTPBadRequest(
            explanation=f"Instance {server.id} is not fault tolerant. Create it from a flavor with the extra spec ft:enabled=1."
        )
    return row


def _rights(service: Service, request: wsgi.Request, row: pairs.Pair) -> views.Rights:
    target = {"project_id": row.project_id, "user_id": row.user_id}
    return views.Rights(
        hosts=service.may(request, policy.HOSTS, target),
        failover=service.may(request, failover_policy.FAILOVER, target),
    )
