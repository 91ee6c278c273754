# SPDX-License-Identifier: Apache-2.0
"""Discovery, list and show of fault tolerance."""

from typing import Any

import webob
import webob.exc
from nova.api.openstack import wsgi
from oslo_utils import strutils

from nova_colo.api import links, query, views
from nova_colo.api.rights import Caller
from nova_colo.api.schemas import fault_tolerance as schema
from nova_colo.api.schemas.checkpoints import MOST_BUCKETS
from nova_colo.api.service import Server, Service, answer, refused
from nova_colo.db import hosts, listing, pairs
from nova_colo.pair import reasons
from nova_colo.pair.actions import ACTIONS
from nova_colo.pair.model import Mode
from nova_colo.policies import fault_tolerance as policy
from nova_colo.policies import hosts as hosts_policy

VERSION = "1.2"


def discover(service: Service, nova: Any, request: wsgi.Request, server_id: None) -> webob.Response:
    """GET /os-fault-tolerance"""
    own = service.own(request)
    service.must(request, policy.DISCOVER, own)
    query.parse(request, schema.EMPTY_QUERY)
    see_hosts = service.may(request, hosts_policy.NAMES, own)
    see_all = service.may(request, policy.INDEX_ALL, own)
    hidden = ({"all_tenants"} if not see_all else set()) | (
        {"host", *listing.HOST_SORT_KEYS} if not see_hosts else set()
    )
    with service.database.reader() as session:
        simulated = any(row.backend == "simulated" for row in hosts.all_hosts(session))
    body = {
        "version": VERSION,
        "modes": list(Mode),
        "actions": list(ACTIONS),
        "can_see_hosts": see_hosts,
        "simulated": simulated,
        "limits": {"max_limit": query.largest_page(), "checkpoint_buckets": MOST_BUCKETS},
        "filters": [name for name in schema.FILTERS if name not in hidden],
        "sort_keys": [key for key in listing.SORT_KEYS if key not in hidden],
    }
    return answer(request, {"fault_tolerance": body})


def index(service: Service, nova: Any, request: wsgi.Request, server_id: None) -> webob.Response:
    """GET /os-fault-tolerance/servers"""
    service.must(request, policy.INDEX, service.own(request))
    parsed = query.parse(request, schema.INDEX_QUERY)
    selection = _selection(service, request, parsed)
    limit = query.limit(parsed)
    order = {"sort_key": parsed.get("sort_key", "name"), "descending": parsed.get("sort_dir") == "desc"}
    with service.database.reader() as session:
        try:
            rows = listing.page(session, selection, limit + 1, parsed.get("marker"), **order)
        except listing.MarkerNotFoundError as error:
            raise webob.exc.HTTPBadRequest(
                explanation=f"Marker {error} is not an FT server of this list. "
                "Give the server_id of the last one of the page before."
            ) from None
        counts = listing.counts(session, selection)
    caller = Caller(service, request)
    body: dict[str, Any] = {"servers": [views.pair(row, caller.rights(row)) for row in rows[:limit]]}
    if len(rows) > limit:
        path = ("os-fault-tolerance", "servers")
        body["servers_links"] = links.next_page(request, path, parsed, rows[limit - 1].server_id)
    return answer(request, body | {"summary": views.summary(counts)})


def _selection(service: Service, request: wsgi.Request, parsed: dict[str, Any]) -> listing.Selection:
    """Return the selection of pairs of a query.

    :raises webob.exc.HTTPForbidden: when policy does not allow the caller to list them
    """
    own = service.own(request)
    project_id = parsed.get("project_id")
    # as in Nova, the parameter without a value means yes
    everywhere = strutils.bool_from_string(parsed.get("all_tenants", "0") or "1")
    # a token without a project has no list of its own
    if everywhere or own["project_id"] is None or project_id not in (None, own["project_id"]):
        service.must(request, policy.INDEX_ALL, own)
    else:
        project_id = own["project_id"]
    if "host" in parsed or parsed.get("sort_key") in listing.HOST_SORT_KEYS:
        # a list of all projects has no project as a policy target
        about = own if project_id == own["project_id"] else {"project_id": project_id, "user_id": None}
        service.must(request, hosts_policy.NAMES, about)
    return listing.Selection(
        project_id=project_id,
        host=parsed.get("host"),
        name=parsed.get("name"),
        states=parsed.get("state", ()),
        healths=parsed.get("health", ()),
    )


def show(service: Service, nova: Any, request: wsgi.Request, server_id: str) -> webob.Response:
    """GET /servers/{id}/os-fault-tolerance"""
    server = nova.server(request, server_id)
    service.must(request, policy.SHOW, server.target)
    query.parse(request, schema.EMPTY_QUERY)
    row = find_pair(service, server)
    return answer(request, {"fault_tolerance": views.pair(row, Caller(service, request).rights(row))})


def find_pair(service: Service, server: Server) -> pairs.Pair:
    """Return the pair of a server that the caller may see.

    :raises webob.exc.HTTPBadRequest: when it is not an FT server
    :raises webob.exc.HTTPConflict: when the engine has not created its pair yet
    """
    with service.database.reader() as session:
        row = pairs.get(session, server.id)
    if row is None and server.fault_tolerant:
        raise refused(webob.exc.HTTPConflict, reasons.NO_PAIR_YET(server=server.id))
    if row is None:
        raise refused(webob.exc.HTTPBadRequest, reasons.NOT_FAULT_TOLERANT(server=server.id))
    return row
