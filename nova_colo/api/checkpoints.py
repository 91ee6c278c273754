# SPDX-License-Identifier: Apache-2.0
"""Checkpoint history."""

import datetime
from collections.abc import Iterable
from typing import Any

import webob
import webob.exc
from nova.api.openstack import wsgi
from oslo_utils import timeutils

from nova_colo.api import query
from nova_colo.api.fault_tolerance import find_pair
from nova_colo.api.schemas import checkpoints as schema
from nova_colo.api.service import Service, answer
from nova_colo.api.views import iso
from nova_colo.db import history
from nova_colo.db.models import Bucket
from nova_colo.policies import checkpoints as policy

_HOUR = datetime.timedelta(hours=1)
_EPOCH = datetime.datetime(1970, 1, 1)
_DAY_S = 86400
#: Bucket widths in seconds, from the finest that is stored.
_WIDTHS = (history.FINE, 30, 60, history.COARSE, 600, 1800, 3600, 7200, 14400, 43200, _DAY_S)


def index(service: Service, nova: Any, request: wsgi.Request, server_id: str) -> webob.Response:
    """GET /servers/{id}/os-fault-tolerance/checkpoints"""
    server = nova.server(request, server_id)
    service.must(request, policy.INDEX, server.target)
    parsed = query.parse(request, schema.QUERY)
    until = query.time(parsed, "until", timeutils.utcnow().replace(microsecond=0))
    since = query.time(parsed, "since", max(until, datetime.datetime.min + _HOUR) - _HOUR)
    if since > until:
        raise webob.exc.HTTPBadRequest(
            explanation=f"since ({iso(since)}) is later than until ({iso(until)}). Swap them."
        )
    row = find_pair(service, server)
    width = bucket_width((until - since).total_seconds())
    with service.database.reader() as session:
        rows = history.buckets(session, row.server_id, _seconds(since) // width * width, _seconds(until))
    body = {"since": iso(since), "until": iso(until), "bucket_s": width, "buckets": merge(rows, width)}
    return answer(request, {"checkpoints": body})


def bucket_width(seconds: float) -> int:
    """Return the width in seconds of an interval's buckets, of which there are about MOST_BUCKETS at most."""
    for width in _WIDTHS:
        if seconds <= width * schema.MOST_BUCKETS:
            return width
    return -int(-seconds // (_DAY_S * schema.MOST_BUCKETS)) * _DAY_S


def merge(rows: Iterable[Bucket], width: int) -> list[dict[str, Any]]:
    """Return buckets as the API shows them, merged per interval; wider ones stay as they are."""
    merged: dict[tuple[int, int], dict[str, Any]] = {}
    for row in rows:
        seconds = max(width, row.seconds)
        start = row.start // seconds * seconds
        into = merged.setdefault(
            (start, seconds), {"mismatch": 0, "periodic": 0, "forced": 0, "sum": 0.0, "max": 0.0}
        )
        for cause in ("mismatch", "periodic", "forced"):
            into[cause] += getattr(row, cause)
        into["sum"] += row.pause_sum_ms
        into["max"] = max(into["max"], row.pause_max_ms)
    return [_bucket(start, seconds, into) for (start, seconds), into in sorted(merged.items())]


def _bucket(start: int, seconds: int, into: dict[str, Any]) -> dict[str, Any]:
    causes = {cause: into[cause] for cause in ("mismatch", "periodic", "forced")}
    total = sum(causes.values())
    pause = (
        {"mean": round(into["sum"] / total, 3), "max": round(into["max"], 3)}
        if total
        else {"mean": None, "max": None}
    )
    return {
        "start": iso(_EPOCH + datetime.timedelta(seconds=start)),
        "seconds": seconds,
        **causes,
        "pause_ms": pause,
    }


def _seconds(at: datetime.datetime) -> int:
    return int((at - _EPOCH).total_seconds())
