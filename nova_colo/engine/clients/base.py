# SPDX-License-Identifier: Apache-2.0
"""The base of the engine's REST clients: a keystoneauth1 adapter with OpenStack's usual options."""

from typing import Any

from keystoneauth1 import adapter, exceptions, loading
from oslo_config import cfg

from nova_colo.engine.errors import ServiceError


class RestClient:
    """A client of a REST service, as the engine's user.

    :param group: the section of conf with auth, session and adapter options; without auth options of its
        own, those of [nova] are used
    :param default_microversion: sent unless a request has its own; None for a service without microversions
    """

    def __init__(self, conf: cfg.ConfigOpts, group: str, default_microversion: str | None = None):
        self._name = group.capitalize()
        auth_group = group if conf[group].auth_type or conf[group].auth_section else "nova"
        auth = loading.load_auth_from_conf_options(conf, auth_group)
        session = loading.load_session_from_conf_options(conf, group, auth=auth)
        self.adapter: adapter.Adapter = loading.load_adapter_from_conf_options(
            conf, group, session=session, auth=auth
        )
        self._microversion = default_microversion

    def request(self, method: str, path: str, **kwargs: Any) -> Any:
        """Send a request and return the response.

        :param path: below the service's endpoint
        :raises ServiceError: when the status is 400 or above, with the service's own message; or without an
            answer
        """
        kwargs.setdefault("microversion", self._microversion)
        try:
            response = self.adapter.request(path, method, raise_exc=False, **kwargs)
        except exceptions.ClientException as error:
            # a token keeps the catalog from when it was issued: get a new one for the next request
            if isinstance(error, exceptions.EndpointNotFound):
                self.adapter.invalidate()
            raise ServiceError(self._name, 0, "") from error
        if response.status_code >= 400:
            raise ServiceError(self._name, response.status_code, *_error(response))
        return response

    def get(self, path: str, **params: Any) -> Any:
        """GET a path and return the decoded JSON body."""
        return self.request("GET", path, params=params).json()


def _error(response: Any) -> tuple[str, str]:
    """Return the message and the code in an error body, in Nova's format or Placement's."""
    try:
        body = response.json()
        errors = body.get("errors") or list(body.values())
        first = errors[0]
        return str(first.get("message") or first.get("detail") or first.get("title")), str(
            first.get("code", "")
        )
    except (ValueError, AttributeError, IndexError):
        return str(response.reason), ""
