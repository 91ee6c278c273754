# SPDX-License-Identifier: Apache-2.0
"""What the handlers work with, and the answers they give in Nova's way."""

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

#: From here on a server's flavor comes with its extra specs.
SERVER_MICROVERSION = "2.67"


class Service:
    """Database, policy and messaging of one nova-api process. It keeps nothing of a request: other processes serve the next."""

    def __init__(self, conf: cfg.ConfigOpts):
        """Connect; messages go by Nova's own broker options."""
        self.database = Database(conf)
        self.enforcer: policy.Enforcer = policies.enforcer(conf)
        self._engines = rpc.EngineClient(rpc.transport(cfg.CONF))

    def wake_engines(self) -> None:
        """Tell the engines that there is something new; without a broker they find it by themselves."""
        try:
            self._engines.wake()
        except Exception as error:  # oslo.messaging lets errors of its driver's own pass, as when the broker is being restarted
            LOG.warning("The engines could not be told: %s", error)

    @staticmethod
    def own(request: wsgi.Request) -> dict[str, Any]:
        """Return what rules are checked against that are about nothing but the caller's own project."""
        context = request.environ["nova.context"]
        return {"project_id": context.project_id, "user_id": context.user_id}

    def may(self, request: wsgi.Request, rule: str, target: dict[str, Any]) -> bool:
        """Return whether the caller may do what a rule is about.

        :param target: ``project_id`` and ``user_id`` of what it is done to
        """
        return self.enforcer.authorize(rule, target, request.environ["nova.context"].to_policy_values())

    def must(self, request: wsgi.Request, rule: str, target: dict[str, Any]) -> None:
        """Raise 403 unless the caller may."""
        if not self.may(request, rule, target):
            raise webob.exc.HTTPForbidden(explanation=f"Policy does not allow {rule} to be performed.")


@dataclasses.dataclass(frozen=True)
class Server:
    """A server as the caller sees it, by Nova's own show.

    :param fault_tolerant: whether its flavor says so; False also where the caller may not see extra specs
    :param locked: by its owner or an administrator: nothing but an administrator's requests may change it
    """

    id: str
    project_id: str
    user_id: str
    fault_tolerant: bool
    locked: bool = False

    @property
    def target(self) -> dict[str, str]:
        """What policy rules are checked against."""
        return {"project_id": self.project_id, "user_id": self.user_id}


def validate(instance: Any, schema: dict[str, Any], where: str = "body") -> None:
    """Raise 400 with a message that names the wrong part, unless instance fits the schema.

    :param where: what the instance is, for the message
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
    """An error in Nova's shape. One that has a reason says its code and parameters in ``details``."""

    @webob.dec.wsgify(RequestClass=wsgi.Request)
    def __call__(self, request: wsgi.Request) -> webob.Response:
        """Answer."""
        response = request.get_response(super().__call__)
        reason = getattr(self.wrapped_exc, "reason", None)
        if reason is not None:
            body = response.json_body
            next(iter(body.values()))["details"] = reason
            response.json_body = body
        return response


def with_microversion(request: wsgi.Request, response: webob.Response) -> webob.Response:
    """Return a response of ours with the headers that Nova gives its own."""
    version = request.api_version_request.get_string()
    response.headers[wsgi.API_VERSION_REQUEST_HEADER] = f"compute {version}"
    response.headers[wsgi.LEGACY_API_VERSION_REQUEST_HEADER] = version
    response.headers.add("Vary", wsgi.API_VERSION_REQUEST_HEADER)
    response.headers.add("Vary", wsgi.LEGACY_API_VERSION_REQUEST_HEADER)
    return response


def rewrite(response: webob.Response, body: dict[str, Any]) -> webob.Response:
    """Put a changed body into an answer of Nova's, serialised as Nova does: nothing differs but what was changed."""
    response.body = jsonutils.dump_as_bytes(body)
    return response


def answer(request: wsgi.Request, body: dict[str, Any]) -> webob.Response:
    """Return a 200 with a JSON body."""
    return with_microversion(
        request, webob.Response(json_body=body, content_type="application/json", charset="UTF-8")
    )
