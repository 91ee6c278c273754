# SPDX-License-Identifier: Apache-2.0
"""The failover action."""

import json
from typing import Any

import webob
import webob.exc
from nova.api.openstack import wsgi

from nova_colo.api import schemas
from nova_colo.api.fault_tolerance import find_pair
from nova_colo.api.servers import pair_of_twin
from nova_colo.api.service import Service, validate, with_microversion
from nova_colo.db import operations, pairs
from nova_colo.pair import actions
from nova_colo.pair.model import State
from nova_colo.policies import failover as policy


def act(service: Service, nova: Any, request: wsgi.Request, server_id: str) -> webob.Response:
    """POST /servers/{id}/action with failover."""
    body = _body(request)
    row = pair_of_twin(service, request, server_id)
    server = nova.server(request, row.server_id if row else server_id)
    service.must(request, policy.FAILOVER, server.target)
    validate(body, schemas.FAILOVER)
    force = bool((body["failover"] or {}).get("force"))
    if force:
        service.must(request, policy.FORCE, server.target)
    _start(service, request, find_pair(service, server), force)
    return with_microversion(request, webob.Response(status=202, content_type="application/json"))


def is_ours(environ: dict[str, Any], match: dict[str, Any]) -> bool:
    """Return whether the body of an action is a failover; any other is Nova's, wrong ones too. A condition of Routes."""
    body = _body(wsgi.Request(environ))
    return isinstance(body, dict) and list(body) == ["failover"]


def _body(request: wsgi.Request) -> Any:
    try:
        return json.loads(request.body)
    except ValueError:
        return None


def _start(service: Service, request: wsgi.Request, row: pairs.Pair, force: bool) -> None:
    """Record the failover for the engine and wake it; without a broker it finds the record by itself."""
    refusal = actions.refusal(actions.FAILOVER, pairs.core(row), force=force)
    if refusal:
        raise webob.exc.HTTPConflict(explanation=refusal)
    context = request.environ["nova.context"]
    params = {
        "source": row.primary_host,
        "target": row.secondary_host,
        "epoch": row.epoch,
        "reason": "requested" + (" by force" if force else ""),
        "previous_state": row.state,
    }
    with service.database.writer() as session:
        started = operations.start(
            session,
            row.server_id,
            row.epoch,
            "failover",
            params,
            requested_by=context.user_id,
            request_id=context.request_id,
            state=State.FAILING_OVER,
            state_reason="Failing over: requested.",
        )
    if started is None:
        raise webob.exc.HTTPConflict(
            explanation="Something else is being done to this server's pair. Wait until it has finished."
        )
    service.wake_engines()
