# SPDX-License-Identifier: Apache-2.0
"""Fault tolerance for Horizon's user: novaclient_colo, logged in with the request's token."""

import hashlib
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest
from django.utils.translation import gettext as _
from horizon import exceptions as horizon_exceptions
from horizon.utils import memoized
from keystoneauth1 import exceptions as keystone_exceptions
from keystoneauth1 import token_endpoint
from novaclient import exceptions as nova_exceptions
from openstack_auth import utils as auth_utils
from openstack_dashboard.api import base, keystone

from colo_dashboard.reasons import told
from novaclient_colo import client
from novaclient_colo.exceptions import FaultToleranceNotSupported
from novaclient_colo.fault_tolerance import (
    Checkpoints,
    Event,
    FaultTolerance,
    FaultToleranceManager,
    Host,
    Page,
)

# The sidebar of every page asks whether the cloud has fault tolerance.
SUPPORTED_CACHE_S = 60
# While the API fails the panel stays, but pages must not all wait for it.
FAILING_CACHE_S = 10

API_ERRORS = (nova_exceptions.ClientException, keystone_exceptions.ClientException)


@memoized.memoized
def fault_tolerance(request: HttpRequest) -> FaultToleranceManager:
    """The manager, as the user of the request."""
    endpoint = base.url_for(request, "compute")
    session = auth_utils.get_session(
        auth=token_endpoint.Token(endpoint=endpoint, token=request.user.token.id),
        original_ip=auth_utils.get_client_ip(request),
    )
    manager: FaultToleranceManager = client.make_client(session, endpoint_override=endpoint).fault_tolerance
    return manager


def supported(request: HttpRequest) -> bool:
    """Whether the cloud has fault tolerance; also true while its API fails, for then nobody knows."""
    try:
        endpoint = base.url_for(request, "compute")
    except horizon_exceptions.ServiceCatalogException:
        return False
    key = "colo_dashboard.supported." + hashlib.sha256(endpoint.encode()).hexdigest()
    answer: bool | None = cache.get(key)
    if answer is None:
        answer, seconds = True, SUPPORTED_CACHE_S
        try:
            fault_tolerance(request).discovery()
        except FaultToleranceNotSupported:
            answer = False
        except API_ERRORS:
            seconds = FAILING_CACHE_S
        cache.set(key, answer, seconds)
    return answer


def list_pairs(request: HttpRequest, all_projects: bool = False, **query: Any) -> Page:
    """One page of the pairs, with the numbers of all of them.

    :param query: filters, order, limit and marker as :meth:`FaultToleranceManager.page` takes them
    """
    return fault_tolerance(request).page(all_projects, **query)


def get_pair(request: HttpRequest, server_id: str) -> FaultTolerance:
    """Show one pair."""
    return fault_tolerance(request).get(server_id)


def act(request: HttpRequest, server_id: str, method: str, **arguments: Any) -> None:
    """Ask something of a pair.

    :param method: of :class:`FaultToleranceManager`, for example ``failover``
    """
    getattr(fault_tolerance(request), method)(server_id, **arguments)


def events(request: HttpRequest, server_id: str, limit: int) -> list[Event]:
    """List what has happened to a pair, newest first."""
    found: list[Event] = fault_tolerance(request).events(server_id, limit=limit)
    return found


def checkpoints(request: HttpRequest, server_id: str, since: str) -> Checkpoints:
    """Show the history of a pair's checkpoints since a time."""
    return fault_tolerance(request).checkpoints(server_id, since=since)


def hosts(request: HttpRequest) -> list[Host]:
    """List the hosts that can carry sides of pairs."""
    found: list[Host] = fault_tolerance(request).hosts()
    return found


def project_names(request: HttpRequest) -> dict[str, str]:
    """Names of projects by id; empty where the user may not list them."""
    try:
        projects, _more = keystone.tenant_list(request)
    except Exception:
        # Names are a convenience: without them the page shows ids.
        horizon_exceptions.handle(request, ignore=True)
        return {}
    return {project.id: project.name for project in projects}


def project_name(request: HttpRequest, project_id: str) -> str:
    """Name of one project, or its id where the user may not see it."""
    try:
        name: str = keystone.tenant_get(request, project_id).name
    except Exception:
        horizon_exceptions.handle(request, ignore=True)
        return project_id
    return name


def explain(error: Exception) -> Any:
    """What the API says is wrong, for people."""
    if isinstance(error, nova_exceptions.ClientException):
        details = error.details if isinstance(error.details, dict) else {}
        return told(error.message, details.get("code"), details.get("params"))
    if isinstance(error, keystone_exceptions.ConnectFailure):
        return _("The compute API does not answer.")
    return str(error)
