# SPDX-License-Identifier: Apache-2.0
"""Client of Neutron's public REST API: the bindings of a server's ports to hosts."""

from oslo_config import cfg

from nova_colo.engine.clients.base import RestClient
from nova_colo.engine.errors import ServiceError

ACTIVE = "ACTIVE"


class NeutronClient(RestClient):
    """The network API. Neutron allows changes of bindings to the service role only."""

    def __init__(self, conf: cfg.ConfigOpts):
        super().__init__(conf, "neutron")

    def bindings(self, server_id: str) -> dict[str, dict[str, str]]:
        """Return the bindings of a server's ports: the status of each, by port and host.

        A port has at most one ACTIVE binding. Nova binds a port to the target of a live migration before the
        migration begins; that binding is INACTIVE until the guest has moved.
        """
        ports = self.get("/v2.0/ports", device_id=server_id, fields="id")["ports"]
        return {port["id"]: self._statuses(port["id"]) for port in ports}

    def _statuses(self, port_id: str) -> dict[str, str]:
        bindings = self.get(f"/v2.0/ports/{port_id}/bindings")["bindings"]
        return {binding["host"]: binding["status"] for binding in bindings}

    def activate_binding(self, port_id: str, host: str) -> None:
        """Make a port's INACTIVE binding to a host its ACTIVE one. The present one becomes INACTIVE."""
        self.request("PUT", f"/v2.0/ports/{port_id}/bindings/{host}/activate")

    def delete_binding(self, port_id: str, host: str) -> None:
        """Delete a port's binding to a host, whatever its status; no error when there is none."""
        try:
            self.request("DELETE", f"/v2.0/ports/{port_id}/bindings/{host}")
        except ServiceError as error:
            if error.status != 404:
                raise
