# SPDX-License-Identifier: Apache-2.0
"""The API for Horizon's user: novaclient_colo with the token of the request."""

import hashlib
from collections.abc import Iterable
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

from colo_dashboard.reasons import translated
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

# The sidebar of every page needs to know whether the cloud has fault tolerance.
SUPPORTED_CACHE_S = 60
# While the API fails the panel stays, but not every page may wait for the API.
FAILING_CACHE_S = 10

API_ERRORS = (nova_exceptions.ClientException, keystone_exceptions.ClientException)


@memoized.memoized
def fault_tolerance(request: HttpRequest) -> FaultToleranceManager:
    """Return the manager, with the credentials of the request's user."""
    endpoint = base.url_for(request, "compute")
    session = auth_utils.get_session(
        auth=token_endpoint.Token(endpoint=endpoint, token=request.user.token.id),
        original_ip=auth_utils.get_client_ip(request),
    )
    manager: FaultToleranceManager = client.make_client(session, endpoint_override=endpoint).fault_tolerance
    return manager


def supported(request: HttpRequest) -> bool:
    """Return whether the cloud has fault tolerance; True while its API fails, since that is unknown then."""
    try:
        endpoint = base.url_for(request, "compute")
    except horizon_exceptions.ServiceCatalogException:
        return False
    key = "colo_dashboard.supported." + hashlib.sha256(endpoint.encode()).hexdigest()
    result: bool | None = cache.get(key)
    if result is None:
        result, seconds = True, SUPPORTED_CACHE_S
        try:
            fault_tolerance(request).discovery()
        except FaultToleranceNotSupported:
            result = False
        except API_ERRORS:
            seconds = FAILING_CACHE_S
        cache.set(key, result, seconds)
    return result


def list_pairs(request: HttpRequest, all_projects: bool = False, **query: Any) -> Page:
    """Return one page of the pairs, with a summary of all pairs.

    :param query: filters, order, limit and marker as :meth:`FaultToleranceManager.page` takes them
    """
    return fault_tolerance(request).page(all_projects, **query)


def get_pair(request: HttpRequest, server_id: str) -> FaultTolerance:
    """Return one pair."""
    return fault_tolerance(request).get(server_id)


def act(request: HttpRequest, server_id: str, method: str, **arguments: Any) -> None:
    """Request an action on a pair.

    :param method: of :class:`FaultToleranceManager`, for example ``failover``
    """
    getattr(fault_tolerance(request), method)(server_id, **arguments)


def events(request: HttpRequest, server_id: str, limit: int) -> list[Event]:
    """List the events of a pair, newest first."""
    result: list[Event] = fault_tolerance(request).events(server_id, limit=limit)
    return result


def checkpoints(request: HttpRequest, server_id: str, since: str) -> Checkpoints:
    """Return the history of a pair's checkpoints since a time."""
    return fault_tolerance(request).checkpoints(server_id, since=since)


def hosts(request: HttpRequest) -> list[Host]:
    """List the hosts that can carry replicas."""
    result: list[Host] = fault_tolerance(request).hosts()
    return result


def project_names(request: HttpRequest) -> dict[str, str]:
    """Return the names of projects by id; none if the user may not list them."""
    try:
        projects, _more = keystone.tenant_list(request)
    except Exception:
        # Without names the page shows ids.
        horizon_exceptions.handle(request, ignore=True)
        return {}
    return {project.id: project.name for project in projects}


def project_name(request: HttpRequest, project_id: str) -> str:
    """Return the name of one project, or its id if the user may not see it."""
    try:
        name: str = keystone.tenant_get(request, project_id).name
    except Exception:
        horizon_exceptions.handle(request, ignore=True)
        return project_id
    return name


def user_names(request: HttpRequest, user_ids: Iterable[str]) -> dict[str, str]:
    """Return the names of users by id, of those whom the request's user may see."""
    names: dict[str, str] = {request.user.id: request.user.username}
    if request.user.is_superuser:  # Keystone shows other users to administrators only
        for user_id in set(user_ids) - names.keys():
            try:
                names[user_id] = keystone.user_get(request, user_id).name
            except Exception:
                horizon_exceptions.handle(request, ignore=True)
    return names


def explain(error: Exception) -> Any:
    """Return the message of an error of the API, in the user's language."""
    if isinstance(error, nova_exceptions.ClientException):
        details = error.details if isinstance(error.details, dict) else {}
        return translated(error.message, details.get("code"), details.get("params"))
    if isinstance(error, keystone_exceptions.ConnectFailure):
        return _("The compute API does not answer.")
    return str(error)
