# SPDX-License-Identifier: Apache-2.0
"""Usage of secondaries in Nova's own usage reports, as in ORBIT."""

import collections
import datetime
from typing import Any

import webob
from nova.api.openstack import wsgi

from nova_colo.api.service import Service, rewrite
from nova_colo.db import secondaries

FT_USAGE = "ft_secondary_usage"
#: Id, memory, vCPUs and disk of a secondary: one entry of a server's list.
Size = tuple[str, int, int, int]


def index(
    service: Service, request: wsgi.Request, response: webob.Response, server_id: None
) -> webob.Response:
    """GET /os-simple-tenant-usage: add to each server of a detailed answer what its secondary has used."""
    return _add(service, response, lambda body: body["tenant_usages"], None)


def show(
    service: Service, request: wsgi.Request, response: webob.Response, server_id: None
) -> webob.Response:
    """GET /os-simple-tenant-usage/{tenant_id}: add to each server what its secondary has used."""
    return _add(service, response, lambda body: [body["tenant_usage"]], "tenant_id")


def _add(service: Service, response: webob.Response, usages: Any, project_key: str | None) -> webob.Response:
    if response.status_int != 200 or response.content_type != "application/json":
        return response
    body = response.json_body
    detailed = [usage for usage in usages(body) if usage.get("server_usages")]
    if not detailed:
        return response
    # all projects of a response have the same period
    start, stop = (datetime.datetime.fromisoformat(detailed[0][name]) for name in ("start", "stop"))
    with service.database.reader() as session:
        periods = secondaries.between(session, detailed[0][project_key] if project_key else None, start, stop)
    hours: dict[str, dict[Size, float]] = collections.defaultdict(lambda: collections.defaultdict(float))
    for entry in periods:
        size = (entry.secondary_id, entry.memory_mb, entry.vcpus, entry.disk_gb)
        inside = min(entry.ended_at or stop, stop) - max(entry.started_at, start)
        hours[entry.server_id][size] += inside.total_seconds() / 3600
    for usage in detailed:
        for server in usage["server_usages"]:
            server[FT_USAGE] = [
                _entry(size, spent) for size, spent in hours.get(server["instance_id"], {}).items()
            ]
    return rewrite(response, body)


def _entry(size: Size, hours: float) -> dict[str, Any]:
    secondary_id, memory_mb, vcpus, local_gb = size
    return {
        "instance_id": secondary_id,
        "hours": hours,
        "memory_mb": memory_mb,
        "vcpus": vcpus,
        "local_gb": local_gb,
    }
