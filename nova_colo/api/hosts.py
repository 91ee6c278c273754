# SPDX-License-Identifier: Apache-2.0
"""Hosts that carry pairs."""

import datetime
from typing import Any

import webob
from nova.api.openstack import wsgi
from oslo_utils import timeutils

from nova_colo.api import query
from nova_colo.api.schemas import hosts as schema
from nova_colo.api.service import Service, answer
from nova_colo.api.views import iso
from nova_colo.db import hosts, listing
from nova_colo.db.models import Host
from nova_colo.pair import reasons
from nova_colo.pair.reasons import Reason
from nova_colo.policies import hosts as policy

#: An agent is down when its last heartbeat is older. The engine records heartbeats every five seconds.
UP_WITHIN = datetime.timedelta(seconds=20)


def index(service: Service, nova: Any, request: wsgi.Request, server_id: None) -> webob.Response:
    """GET /os-fault-tolerance/hosts"""
    service.must(request, policy.INDEX, service.own(request))
    query.parse(request, schema.QUERY)
    with service.database.reader() as session:
        rows = {row.host: row for row in hosts.all_hosts(session)}
        primaries, secondaries = listing.load_by_host(session)
    now = timeutils.utcnow()
    names = sorted({*rows, *primaries, *secondaries})
    return answer(
        request, {"hosts": [_host(name, rows.get(name), primaries, secondaries, now) for name in names]}
    )


def is_up(row: Host | None, now: datetime.datetime) -> bool:
    """Return whether a host's agent is up."""
    return row is not None and row.seen_at is not None and now - row.seen_at < UP_WITHIN


def is_capable(row: Host) -> bool:
    """Return whether a host can carry replicas. Nova moves no server to a host that is forced down."""
    return bool(row.capable) and row.fenced_at is None


def unmet_requirements(row: Host, now: datetime.datetime) -> list[Reason]:
    """Return the requirements for carrying replicas that a host does not meet."""
    # a fenced host is up again in Nova only after a restart of its nova-compute
    return [*row.reasons, reasons.FENCED()] if row.fenced_at and is_up(row, now) else row.reasons


def _host(
    name: str,
    row: Host | None,
    primaries: dict[str, int],
    secondaries: dict[str, tuple[int, int]],
    now: datetime.datetime,
) -> dict[str, Any]:
    """Return a host as the API shows it.

    :param row: None for a host that carries replicas, but whose agent has never sent a heartbeat
    """
    secondary_count, memory_mb = secondaries.get(name, (0, 0))
    unmet = unmet_requirements(row, now) if row else [reasons.AGENT_UNKNOWN()]
    return {
        "host": name,
        "agent": {
            "state": "up" if is_up(row, now) else "down",
            "seen_at": iso(row.seen_at) if row else None,
            "version": row.version if row else None,
            "backend": row.backend if row else None,
        },
        "versions": (row.versions or {}) if row else {},
        "capable": row is not None and is_capable(row),
        "reasons": [reason.text(hosts=True) for reason in unmet],
        "reason_details": [reason.wire(hosts=True) for reason in unmet],
        "primaries": primaries.get(name, 0),
        "secondaries": secondary_count,
        "reserved_memory_mb": memory_mb,
        "fenced_since": iso(row.fenced_at) if row else None,
    }
