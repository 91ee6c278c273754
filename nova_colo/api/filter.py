# SPDX-License-Identifier: Apache-2.0
"""The paste filter: finds the handler for a path, passes everything else on."""

from collections.abc import Callable
from typing import Any

import routes
import webob
import webob.dec
import webob.exc
from nova import exception
from nova.api.openstack import wsgi
from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import strutils

from nova_colo import conf as colo_conf
from nova_colo.api import failover, fault_tolerance, servers
from nova_colo.api.service import SERVER_MICROVERSION, Server, Service

LOG = logging.getLogger(__name__)


def _mapper() -> routes.Mapper:
    """Return the routes of ours, each with and without a project id as Nova's are."""
    mapper = routes.Mapper(register=False)
    mapper.redirect_to = None
    table: list[tuple[str, str, Any]] = [
        ("GET", "/servers/detail", servers.decorate),
        ("GET", "/servers/{server_id}", servers.show),
        ("POST", "/servers/{server_id}/action", failover.act),
        ("GET", "/servers/{server_id}/os-fault-tolerance", fault_tolerance.show),
        ("GET", "/os-fault-tolerance", fault_tolerance.discover),
        ("GET", "/os-fault-tolerance/servers", fault_tolerance.index),
    ]
    for method, path, handler in table:
        for prefix in ("", "/{project_id:[0-9a-f-]+}"):
            mapper.connect(prefix + path, conditions={"method": [method]}, handler=handler)
    return mapper


class Nova:
    """The rest of nova-api's pipeline, as our handlers use it."""

    def __init__(self, application: Any):
        self._application = application

    def pass_on(self, request: wsgi.Request) -> webob.Response:
        """Return Nova's answer to the request as it is."""
        return request.get_response(self._application)

    def server(self, request: wsgi.Request, server_id: str) -> Server | None:
        """Return a server as the caller sees it, or None when Nova does not show it to the caller."""
        sub = request.copy_get()
        # else Nova's parsed microversion of this request would become the one of ours
        sub.environ.pop("webob.adhoc_attrs", None)
        prefix = request.path_info.split("/servers/")[0]
        sub.path_info = f"{prefix}/servers/{server_id}"
        sub.query_string = ""
        sub.headers[wsgi.API_VERSION_REQUEST_HEADER] = f"compute {SERVER_MICROVERSION}"
        sub.headers.pop(wsgi.LEGACY_API_VERSION_REQUEST_HEADER, None)
        response = sub.get_response(self._application)
        if response.status_int in (403, 404):
            return None
        if response.status_int != 200:
            raise webob.exc.status_map[response.status_int](explanation=response.text)
        body = response.json_body["server"]
        specs = body["flavor"].get("extra_specs", {})
        tolerant = strutils.bool_from_string(specs.get("ft:enabled", ""))
        return Server(body["id"], body["tenant_id"], body["user_id"], tolerant)


class FaultToleranceFilter:
    """To be put after keystonecontext in the pipelines of nova-api.

    :param application: the rest of the pipeline
    :param make_service: called once, in the process that serves
    """

    def __init__(self, application: Any, make_service: Callable[[], Service]):
        self._nova = Nova(application)
        self._application = application
        self._make_service = make_service
        self._service: Service | None = None
        self._mapper = _mapper()

    @property
    def service(self) -> Service:
        """What handlers work with. Made late: nova-api may fork after it has built its pipeline."""
        if self._service is None:
            self._service = self._make_service()
        return self._service

    @webob.dec.wsgify(RequestClass=wsgi.Request)
    def __call__(self, request: wsgi.Request) -> Any:
        """Answer, or pass on to Nova."""
        match = self._mapper.match(request.path_info.rstrip("/"), request.environ)
        if match is None:
            return self._application
        try:
            request.set_api_version_request()
        except (exception.InvalidAPIVersionString, exception.InvalidGlobalAPIVersion):
            return self._application
        handler = match.pop("handler")
        try:
            return handler(self.service, self._nova, request, match.get("server_id"))
        except webob.exc.HTTPException as error:
            return wsgi.Fault(error)


def factory(global_config: dict[str, str], config_file: str, **local_config: str) -> Callable[[Any], FaultToleranceFilter]:
    """Make the filter for PasteDeploy.

    :param config_file: path of nova-colo.conf
    """
    conf = colo_conf.load([], [config_file], conf=cfg.ConfigOpts())

    def make(application: Any) -> FaultToleranceFilter:
        return FaultToleranceFilter(application, lambda: Service(conf))

    return make
