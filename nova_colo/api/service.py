# SPDX-License-Identifier: Apache-2.0
"""Database, policy and messaging of the handlers, and responses in Nova's shape."""

import dataclasses
from typing import Any

import jsonschema
import webob
import webob.dec
import webob.exc
from nova.api.openstack import wsgi
from oslo_config import cfg
from oslo_log import log as logging
from oslo_policy import policy
from oslo_serialization import jsonutils

from nova_colo import policies, rpc
from nova_colo.db import Database
from nova_colo.pair.reasons import Reason

LOG = logging.getLogger(__name__)

#: A microversion in which the flavor of a server includes its extra specs.
SERVER_MICROVERSION = "2.67"


class Service:
    """Database, policy and messaging of one nova-api process.

    It keeps no state of requests, since several processes serve them.
    """

    def __init__(self, conf: cfg.ConfigOpts):
        """Connect; the broker is the one of Nova's own options."""
        self.conf = conf
        self.database = Database(conf)
        self.enforcer: policy.Enforcer = policies.enforcer(conf)
        self._engines = rpc.EngineClient(rpc.transport(cfg.CONF))

    def notify_engines(self) -> None:
        """Notify the engines of a change; without a broker they find it by polling."""
        try:
            self._engines.wake()
        except Exception as error:  # oslo.messaging does not wrap all errors of its drivers
            LOG.warning("Failed to notify the engines: %s", error)

    @staticmethod
    def own(request: wsgi.Request) -> dict[str, Any]:
        """Return the caller's own project and user as a policy target."""
        context = request.environ["nova.context"]
        return {"project_id": context.project_id, "user_id": context.user_id}

    def may(self, request: wsgi.Request, rule: str, target: dict[str, Any]) -> bool:
        """Return whether a policy rule allows the caller to act on a target.

        :param target: ``project_id`` and ``user_id`` of the resource
        """
        return self.enforcer.authorize(rule, target, request.environ["nova.context"].to_policy_values())

    def must(self, request: wsgi.Request, rule: str, target: dict[str, Any]) -> None:
        """Raise 403 unless a policy rule allows the caller to act on a target."""
        if not self.may(request, rule, target):
            raise webob.exc.HTTPForbidden(explanation=f"Policy does not allow {rule} to be performed.")


@dataclasses.dataclass(frozen=True)
class Server:
    """A server as Nova shows it to the caller.

    :param fault_tolerant: whether its flavor is fault tolerant; False also when the caller may not see extra
        specs
    :param locked: whether only administrators may change it
    """

    id: str
    project_id: str
    user_id: str
    fault_tolerant: bool
    locked: bool = False

    @property
    def target(self) -> dict[str, str]:
        """The project and the user of the server as a policy target."""
        return {"project_id": self.project_id, "user_id": self.user_id}


def validate(instance: Any, schema: dict[str, Any], where: str = "body") -> None:
    """Raise 400 with a message that names the wrong part, unless an instance fits the schema.

    :param where: the part that the message names when the whole instance is wrong
    """
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(instance))
    if error is not None:
        part = "/".join(str(part) for part in error.absolute_path) or where
        raise webob.exc.HTTPBadRequest(
            explanation=f"Invalid input for field/attribute {part}: {error.message}"
        )


def refused(
    kind: type[webob.exc.HTTPException], reason: Reason, hosts: bool = False
) -> webob.exc.HTTPException:
    """Return the error that refuses a request.

    :param hosts: whether the caller may see hosts
    """
    error: webob.exc.HTTPException = kind(explanation=reason.text(hosts))
    error.reason = reason.wire(hosts)
    return error


class Fault(wsgi.Fault):
    """An error in Nova's shape, with the code and parameters of its reason, if any, in ``details``."""

    @webob.dec.wsgify(RequestClass=wsgi.Request)
    def __call__(self, request: wsgi.Request) -> webob.Response:
        """Return the response."""
        response = request.get_response(super().__call__)
        reason = getattr(self.wrapped_exc, "reason", None)
        if reason is not None:
            body = response.json_body
            next(iter(body.values()))["details"] = reason
            response.json_body = body
        return response


def with_microversion(request: wsgi.Request, response: webob.Response) -> webob.Response:
    """Add the microversion headers of Nova's responses to a response of a handler, and return it."""
    version = request.api_version_request.get_string()
    response.headers[wsgi.API_VERSION_REQUEST_HEADER] = f"compute {version}"
    response.headers[wsgi.LEGACY_API_VERSION_REQUEST_HEADER] = version
    response.headers.add("Vary", wsgi.API_VERSION_REQUEST_HEADER)
    response.headers.add("Vary", wsgi.LEGACY_API_VERSION_REQUEST_HEADER)
    return response


def rewrite(response: webob.Response, body: dict[str, Any]) -> webob.Response:
    """Replace the body of a response of Nova's, serialised as Nova does so that nothing else changes."""
    response.body = jsonutils.dump_as_bytes(body)
    return response


def answer(request: wsgi.Request, body: dict[str, Any]) -> webob.Response:
    """Return a 200 with a JSON body."""
    return with_microversion(
        request, webob.Response(json_body=body, content_type="application/json", charset="UTF-8")
    )
