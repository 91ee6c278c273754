# SPDX-License-Identifier: Apache-2.0
"""Events of a server."""

from typing import Any

import webob
from nova.api.openstack import wsgi

from nova_colo.api import links, query
from nova_colo.api.fault_tolerance import find_pair
from nova_colo.api.rights import Caller
from nova_colo.api.schemas import events as schema
from nova_colo.api.service import Service, answer
from nova_colo.api.views import iso
from nova_colo.db import events
from nova_colo.policies import events as policy


def index(service: Service, nova: Any, request: wsgi.Request, server_id: str) -> webob.Response:
    """GET /servers/{id}/os-fault-tolerance/events"""
    server = nova.server(request, server_id)
    service.must(request, policy.INDEX, server.target)
    parsed = query.parse(request, schema.QUERY)
    limit = query.limit(parsed)
    row = find_pair(service, server)
    with service.database.reader() as session:
        found = events.newest(session, row.server_id, limit + 1, parsed.get("marker"))
    hosts = Caller(service, request).rights(row).hosts
    body: dict[str, Any] = {
        "events": [
            {
                "id": event.id,
                "at": iso(event.at),
                "kind": event.kind,
                "level": event.level,
                "message": event.reason.text(hosts),
                **event.reason.wire(hosts),
                "request_id": event.request_id,
                "user_id": event.user_id,
            }
            for event in found[:limit]
        ]
    }
    if len(found) > limit:
        path = (f"servers/{server.id}/os-fault-tolerance", "events")
        body["events_links"] = links.next_page(request, path, parsed, found[limit - 1].id)
    return answer(request, body)
