# SPDX-License-Identifier: Apache-2.0
"""ORBIT's attributes in Nova's own server views."""

import uuid
from typing import Any

import webob
import webob.exc
from nova.api.openstack import wsgi

from nova_colo.api import links
from nova_colo.api.service import Service, answer, rewrite
from nova_colo.db import pairs
from nova_colo.db.models import Pair
from nova_colo.pair import model
from nova_colo.pair.model import FtStatus, State
from nova_colo.policies import hosts as policy

FT_STATUS = "OS-EXT-FT:ft_status"
FT_RELATIONS = "OS-EXT-FT:ft_relations"


def detail(
    service: Service, request: wsgi.Request, response: webob.Response, server_id: None
) -> webob.Response:
    """GET /servers/detail: add ft_status to each server."""
    if response.status_int != 200 or response.content_type != "application/json":
        return response
    body = response.json_body
    with service.database.reader() as session:
        states = pairs.statuses(session, [server["id"] for server in body["servers"]])
    for server in body["servers"]:
        server[FT_STATUS] = _status(server, states.get(server["id"]))
    return rewrite(response, body)


def show(service: Service, request: wsgi.Request, response: webob.Response, server_id: str) -> webob.Response:
    """GET /servers/{id}: add ft_status and ft_relations; answer for ids of secondaries too.

    Only callers who may see hosts see secondaries.
    """
    if response.status_int == 404 and (row := pair_by_secondary_id(service, request, server_id)):
        return answer(request, {"server": _secondary(request, row)})
    if response.status_int != 200 or response.content_type != "application/json":
        return response
    body = response.json_body
    server = body["server"]
    with service.database.reader() as session:
        row = pairs.get(session, server["id"])
    server[FT_STATUS] = _status(server, (row.state, row.secondary_host) if row else None)
    target = {"project_id": server["tenant_id"], "user_id": server["user_id"]}
    secondaries = []
    if row is not None and row.secondary_host and service.may(request, policy.NAMES, target):
        secondary_links = links.server(request, row.secondary_id)
        secondaries = [{"id": row.secondary_id, "name": row.name, "links": secondary_links}]
    server[FT_RELATIONS] = {"servers": secondaries}
    return rewrite(response, body)


def _status(server: dict[str, Any], pair: tuple[str, str | None] | None) -> FtStatus:
    """Return ORBIT's ``ft_status`` of a server.

    :param pair: state and secondary host; None when the server has no pair (yet)
    """
    if pair is not None:
        return model.ft_status(pair[0], pair[1] is not None)
    return (
        FtStatus.MISSING_SECONDARY if model.is_fault_tolerant(server.get("flavor", {})) else FtStatus.NOT_FT
    )


def pair_by_secondary_id(service: Service, request: wsgi.Request, server_id: str) -> Pair | None:
    """Return the pair of a secondary's id; None for any other id, and for callers who may not see hosts."""
    try:
        if uuid.UUID(server_id).version != 5:
            return None  # ordinary ids cost no query
    except ValueError:
        return None
    with service.database.reader() as session:
        row = pairs.get_by_secondary_id(session, server_id)
    if row is None or not service.may(
        request, policy.NAMES, {"project_id": row.project_id, "user_id": row.user_id}
    ):
        return None
    return row


def _secondary(request: wsgi.Request, row: Pair) -> dict[str, Any]:
    """Return a secondary as a minimal read-only server."""
    lost = row.secondary_host is None or row.state == State.ERROR
    primary = {"id": row.server_id, "name": row.name, "links": links.server(request, row.server_id)}
    return {
        "id": row.secondary_id,
        "name": row.name,
        "tenant_id": row.project_id,
        "user_id": row.user_id,
        "status": "ACTIVE" if row.secondary_host else "SHUTOFF",
        "OS-EXT-SRV-ATTR:host": row.secondary_host,
        FT_STATUS: FtStatus.MISSING_PRIMARY if lost else FtStatus.SECONDARY,
        FT_RELATIONS: {"servers": [primary]},
        "links": links.server(request, row.secondary_id),
    }
