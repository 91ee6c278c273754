# SPDX-License-Identifier: Apache-2.0
"""The paste filter: dispatch requests to handlers, and pass all others on to Nova."""

import copy
import re
from collections.abc import Callable
from typing import Any

import routes
import webob
import webob.exc
from nova import exception
from nova.api.openstack import wsgi
from oslo_config import cfg
from oslo_db import exception as db_exception
from oslo_log import log as logging
from oslo_utils import uuidutils
from routes.middleware import RoutesMiddleware

from nova_colo import conf as colo_conf
from nova_colo.api import (
    action_rules,
    actions,
    checkpoints,
    eligibility,
    events,
    fault_tolerance,
    hosts,
    servers,
    usage,
)
from nova_colo.api.service import SERVER_MICROVERSION, Fault, Server, Service
from nova_colo.pair.model import is_fault_tolerant

LOG = logging.getLogger(__name__)


#: Kinds of handlers: pass a request on to Nova or refuse it, add to Nova's response, or respond instead of
#: Nova.
BEFORE, AFTER, INSTEAD = "before", "after", "instead"
ROUTES: list[tuple[str, str, str, Any, dict[str, Any]]] = [
    (AFTER, "GET", "/servers/detail", servers.detail, {}),
    (AFTER, "GET", "/servers/{server_id}", servers.show, {}),
    (INSTEAD, "POST", "/servers/{server_id}/action", actions.act, {"function": actions.is_ours}),
    (BEFORE, "POST", "/servers/{server_id}/action", action_rules.action, {}),
    (
        BEFORE,
        "POST",
        "/servers/{server_id}/os-volume_attachments",
        action_rules.rule_handler("attach volume"),
        {},
    ),
    (
        BEFORE,
        "PUT",
        "/servers/{server_id}/os-volume_attachments/{id}",
        action_rules.rule_handler("change volume"),
        {},
    ),
    (
        BEFORE,
        "DELETE",
        "/servers/{server_id}/os-volume_attachments/{id}",
        action_rules.rule_handler("detach volume"),
        {},
    ),
    (BEFORE, "POST", "/servers/{server_id}/os-interface", action_rules.rule_handler("attach interface"), {}),
    (
        BEFORE,
        "DELETE",
        "/servers/{server_id}/os-interface/{id}",
        action_rules.rule_handler("detach interface"),
        {},
    ),
    (BEFORE, "POST", "/servers/{server_id}/shares", action_rules.rule_handler("attach share"), {}),
    (BEFORE, "DELETE", "/servers/{server_id}/shares/{id}", action_rules.rule_handler("detach share"), {}),
    (
        BEFORE,
        "POST",
        "/servers/{server_id}/migrations/{id}/action",
        action_rules.rule_handler("force migration"),
        {},
    ),
    (
        BEFORE,
        "DELETE",
        "/servers/{server_id}/migrations/{id}",
        action_rules.rule_handler("abort migration"),
        {},
    ),
    (BEFORE, "POST", "/servers", eligibility.create, {}),
    # Nova's other names of the same resources
    (BEFORE, "POST", "/os-volumes_boot", eligibility.create, {}),
    (BEFORE, "POST", "/os-volumes_boot/{server_id}/action", action_rules.action, {}),
    (AFTER, "GET", "/os-simple-tenant-usage", usage.index, {}),
    (AFTER, "GET", "/os-simple-tenant-usage/{tenant_id}", usage.show, {}),
    (INSTEAD, "GET", "/servers/{server_id}/os-fault-tolerance", fault_tolerance.show, {}),
    (INSTEAD, "GET", "/servers/{server_id}/os-fault-tolerance/checkpoints", checkpoints.index, {}),
    (INSTEAD, "GET", "/servers/{server_id}/os-fault-tolerance/events", events.index, {}),
    (INSTEAD, "GET", "/os-fault-tolerance", fault_tolerance.discover, {}),
    (INSTEAD, "GET", "/os-fault-tolerance/servers", fault_tolerance.index, {}),
    (INSTEAD, "GET", "/os-fault-tolerance/hosts", hosts.index, {}),
]


def _mapper() -> routes.Mapper:
    """Return the mapper of ROUTES, each with and without a project id, as Nova's are."""
    mapper = routes.Mapper(register=False)
    for kind, method, path, handler, conditions in ROUTES:
        for prefix in ("", "/{project_id:[0-9a-f-]+}"):
            mapper.connect(
                prefix + path, conditions={"method": [method], **conditions}, kind=kind, handler=handler
            )
    return mapper


#: The project id that a path may begin with.
_PROJECT = re.compile(r"/[0-9a-f-]+(?=/)", re.ASCII)


class Nova:
    """The rest of nova-api's pipeline, as our handlers use it."""

    def __init__(self, application: Any):
        self._application = application

    def server(self, request: wsgi.Request, server_id: str) -> Server:
        """Return a server as the caller sees it.

        :raises webob.exc.HTTPNotFound: when Nova does not show it to the caller
        """
        if not uuidutils.is_uuid_like(server_id):
            # it must not turn into another path of Nova's, as "detail" would
            raise _no_server(server_id)
        response = self.fetch(request, f"/servers/{server_id}", SERVER_MICROVERSION)
        if response.status_int in (403, 404):
            raise _no_server(server_id)
        if response.status_int != 200:
            raise webob.exc.status_map[response.status_int](explanation=response.text)
        body = response.json_body["server"]
        return Server(
            body["id"], body["tenant_id"], body["user_id"], is_fault_tolerant(body["flavor"]), body["locked"]
        )

    def fetch(
        self, request: wsgi.Request, path: str, microversion: str, elevated: bool = False
    ) -> webob.Response:
        """Return Nova's response to a GET.

        :param path: below the endpoint, without a project id
        :param elevated: as an administrator, for data that policy may hide from the caller
        """
        sub = request.copy_get()
        # else the microversion parsed from this request would replace the one of the subrequest
        sub.environ.pop("webob.adhoc_attrs", None)
        # else Nova would accept no microversion in a request to its legacy v2 API
        sub.environ.pop(wsgi.ENV_LEGACY_V2, None)
        context = request.environ["nova.context"]
        # Nova targets a request's context to the cell of the requested server
        sub.environ["nova.context"] = context.elevated() if elevated else copy.copy(context)
        project = _PROJECT.match(request.path_info)
        sub.path_info = (project[0] if project else "") + path
        sub.query_string = ""
        sub.headers[wsgi.API_VERSION_REQUEST_HEADER] = f"compute {microversion}"
        sub.headers.pop(wsgi.LEGACY_API_VERSION_REQUEST_HEADER, None)
        return sub.get_response(self._application)


def _no_server(server_id: str) -> webob.exc.HTTPNotFound:
    return webob.exc.HTTPNotFound(explanation=f"Instance {server_id} could not be found.")


class FaultToleranceFilter:
    """The filter, placed directly before Nova itself in nova-api's pipelines.

    :param application: the rest of the pipeline
    :param make_service: called once, in the process that serves requests
    """

    def __init__(self, application: Any, make_service: Callable[[], Service]):
        self._nova = Nova(application)
        self._application = application
        self._make_service = make_service
        self._service: Service | None = None
        # the middleware and the settings of nova.api.wsgi:Router
        self._router = RoutesMiddleware(
            lambda environ, start_response: environ["wsgiorg.routing_args"][1], _mapper(), singleton=False
        )

    @property
    def service(self) -> Service:
        """The handlers' service, created late: nova-api may fork after it has built its pipeline."""
        if self._service is None:
            self._service = self._make_service()
        return self._service

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Respond, add to Nova's response, or pass the request on to Nova.

        This is a plain WSGI callable that calls Nova from its own frame: with webob's frames between, Nova's
        own loops ran half as fast (measured on CPython 3.11; probably because of its frame stack, which
        allocates memory at each call that crosses a chunk's end).
        """
        request = wsgi.Request(environ)
        match = self._match(environ)
        if match is None:
            return self._application(environ, start_response)
        if match["kind"] == BEFORE:
            objection = None if _refusal(request, match) else self._objection(match, request)
            return (objection or self._application)(environ, start_response)
        if match["kind"] == AFTER:
            if _refusal(request, match):
                return self._application(environ, start_response)
            status, headers, body = request.call_application(self._application)
            response = webob.Response(status=status, headerlist=headers, app_iter=body)
        else:
            response = None
        return self._handle(match, request, response)(environ, start_response)

    def _match(self, environ: dict[str, Any]) -> dict[str, Any] | None:
        """Return the route of a request, found as Nova does: a parameter ``_method`` replaces the method."""
        path = environ["PATH_INFO"]
        environ["PATH_INFO"] = path.rstrip("/")  # our paths may end with slashes
        try:
            match: dict[str, Any] = self._router(environ, None)
        finally:
            environ["PATH_INFO"] = path
        if server_id := match.get("server_id"):
            # Nova's database may ignore the case
            match["server_id"] = server_id.lower()
        return match or None

    def _objection(self, match: dict[str, Any], request: wsgi.Request) -> wsgi.Fault | None:
        """Return the error that refuses a request; None when it may pass to Nova."""
        try:
            match["handler"](self.service, self._nova, request, match.get("server_id"))
        except webob.exc.HTTPException as error:
            return Fault(error)
        except Exception:
            LOG.exception("Failed to check a request; it is passed on to Nova.")
        return None

    def _handle(self, match: dict[str, Any], request: wsgi.Request, response: webob.Response | None) -> Any:
        """Return the handler's response, or its error in Nova's shape."""
        handler, server_id = match["handler"], match.get("server_id")
        if response is not None:
            try:
                return handler(self.service, request, response, server_id)
            except Exception:
                LOG.exception("Failed to add fault tolerance attributes to a response of Nova.")
                return response
        try:
            if refusal := _refusal(request, match):
                raise refusal
            return handler(self.service, self._nova, request, server_id)
        except webob.exc.HTTPException as error:
            return Fault(error)
        except db_exception.DBError:
            LOG.exception("The FT database failed.")
            return wsgi.Fault(
                webob.exc.HTTPServiceUnavailable(
                    explanation="The database of fault tolerance does not answer. Nothing was changed. "
                    "Try again later."
                )
            )


def _refusal(request: wsgi.Request, match: dict[str, Any]) -> webob.exc.HTTPException | None:
    """Parse the request's microversion; return Nova's error for an invalid microversion, type or project id.

    The checks are those of nova.api.openstack.wsgi:Resource, before it dispatches a request.
    """
    try:
        request.set_api_version_request()
        request.get_content_type()
    except exception.InvalidAPIVersionString as error:
        return webob.exc.HTTPBadRequest(explanation=error.format_message())
    except exception.InvalidGlobalAPIVersion as error:
        return webob.exc.HTTPNotAcceptable(explanation=error.format_message())
    except exception.InvalidContentType:
        return webob.exc.HTTPUnsupportedMediaType(explanation="Unsupported Content-Type")
    named = match.get("project_id")
    if named and named != (own := request.environ["nova.context"].project_id):
        return webob.exc.HTTPBadRequest(
            explanation=f"Malformed request URL: URL's project_id '{named}' doesn't match "
            f"Context's project_id '{own}'"
        )
    return None


def factory(
    global_config: dict[str, str], config_file: str, **local_config: str
) -> Callable[[Any], FaultToleranceFilter]:
    """Return the filter for PasteDeploy.

    :param config_file: path of nova-colo.conf
    """
    conf = colo_conf.load([], [config_file], conf=cfg.ConfigOpts())
    # Nova's responses wait for the FT attributes: without the FT database they must not wait for long
    conf.set_default("max_retries", 1, group="database")
    conf.set_default("retry_interval", 1, group="database")

    def make(application: Any) -> FaultToleranceFilter:
        return FaultToleranceFilter(application, lambda: Service(conf))

    return make
