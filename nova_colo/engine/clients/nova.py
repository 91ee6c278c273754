# SPDX-License-Identifier: Apache-2.0
"""Client of Nova's public REST API, as far as the engine needs it.

Moves use microversion 2.67: 2.68 removes ``force``, and from 2.95 on an evacuated server ends stopped.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from oslo_config import cfg

from nova_colo.engine.clients.base import RestClient
from nova_colo.engine.errors import ServiceError
from nova_colo.pair.action_rules import OPERATION_HEADER
from nova_colo.pair.host_selection import Size
from nova_colo.pair.model import Policy, is_fault_tolerant, policy_of

MICROVERSION = "2.67"


@dataclasses.dataclass(frozen=True)
class Server:
    """A server in Nova. ``host`` is empty before it is scheduled."""

    id: str
    name: str
    project_id: str
    user_id: str
    flavor: str
    size: Size
    fault_tolerant: bool
    status: str
    host: str
    task_state: str | None
    policy: Policy
    extra_specs: dict[str, str]

    @property
    def gone(self) -> bool:
        """Whether the server is deleted or soft-deleted."""
        return self.status in ("DELETED", "SOFT_DELETED")


def _server(body: dict[str, Any]) -> Server:
    flavor = body["flavor"]
    return Server(
        id=body["id"],
        name=body["name"],
        project_id=body["tenant_id"],
        user_id=body["user_id"],
        flavor=flavor["original_name"],
        size=Size(flavor["vcpus"], flavor["ram"], flavor["disk"] + flavor["ephemeral"]),
        fault_tolerant=is_fault_tolerant(flavor),
        status=body["status"],
        host=body.get("OS-EXT-SRV-ATTR:host") or "",
        task_state=body.get("OS-EXT-STS:task_state"),
        policy=policy_of(flavor),
        extra_specs=flavor.get("extra_specs", {}),
    )


class NovaClient(RestClient):
    """The compute API."""

    def __init__(self, conf: cfg.ConfigOpts):
        super().__init__(conf, "nova", MICROVERSION)

    def servers(self, changes_since: str | None = None) -> Iterator[Server]:
        """Yield the servers of all projects.

        :param changes_since: ISO 8601; only servers changed since then, among them deleted ones
        """
        params = {"all_tenants": "1"} | ({"changes-since": changes_since} if changes_since else {})
        while True:
            body = self.get("/servers/detail", **params)
            yield from map(_server, body["servers"])
            if not any(link["rel"] == "next" for link in body.get("servers_links", [])):
                return
            params["marker"] = body["servers"][-1]["id"]

    def server(self, server_id: str) -> Server | None:
        """Return a server, or None when Nova has none with this id."""
        try:
            return _server(self.get(f"/servers/{server_id}")["server"])
        except ServiceError as error:
            if error.status == 404:
                return None
            raise

    def live_migrate(self, server_id: str, host: str, operation_id: str) -> str:
        """Force a live migration to a host, past the scheduler. Return the request's id."""
        body: dict[str, Any] = {"host": host, "block_migration": "auto", "force": True}
        return self._act(server_id, {"os-migrateLive": body}, operation_id)

    def evacuate(self, server_id: str, host: str, operation_id: str) -> str:
        """Force an evacuation to a host, past the scheduler. Return the request's id."""
        return self._act(server_id, {"evacuate": {"host": host, "force": True}}, operation_id)

    def set_active(self, server_id: str, operation_id: str) -> None:
        """Reset the status of a running server to ACTIVE."""
        self._act(server_id, {"os-resetState": {"state": "active"}}, operation_id)

    def reboot(self, server_id: str, operation_id: str) -> str:
        """Request a hard reboot. Return the request's id."""
        return self._act(server_id, {"reboot": {"type": "HARD"}}, operation_id)

    def stop(self, server_id: str, operation_id: str) -> None:
        """Request a stop.

        :raises ServiceError: 409 while another action is in progress, or the server is stopped
        """
        self._act(server_id, {"os-stop": None}, operation_id)

    def _act(self, server_id: str, body: dict[str, Any], operation_id: str) -> str:
        headers = {OPERATION_HEADER: operation_id}
        response = self.request("POST", f"/servers/{server_id}/action", json=body, headers=headers)
        return response.headers["x-openstack-request-id"]

    def action_failed(self, server_id: str, request_id: str) -> bool:
        """Return whether an action that was accepted has failed."""
        try:
            action = self.get(f"/servers/{server_id}/os-instance-actions/{request_id}")["instanceAction"]
        except ServiceError as error:
            if error.status == 404:
                return False
            raise
        return action["message"] == "Error"

    def migrations(self, server_id: str) -> list[str]:
        """Return the uuids of a server's migrations, including ended ones.

        They are consumers in Placement.
        """
        body = self.get("/os-migrations", instance_uuid=server_id)
        return [migration["uuid"] for migration in body["migrations"]]

    def compute_services(self) -> dict[str, dict[str, Any]]:
        """Return Nova's records of the nova-compute services, by host."""
        return {
            service["host"]: service
            for service in self.get("/os-services", binary="nova-compute")["services"]
        }

    def providers(self) -> dict[str, str]:
        """Return the uuid of each host's compute node, which is that of its resource provider."""
        hypervisors = self.get("/os-hypervisors/detail")["hypervisors"]
        return {hypervisor["service"]["host"]: hypervisor["id"] for hypervisor in hypervisors}

    def force_down(self, host: str, down: bool) -> None:
        """Force a host's nova-compute down, or lift that.

        :raises ServiceError: 400 when it cannot be lifted yet, since nova-compute has not cleaned up
            evacuated servers
        """
        self._update_service(self.compute_services()[host], {"forced_down": down})

    def disable(self, host: str, reason: str) -> None:
        """Disable a host for the scheduler, unless it is disabled already."""
        service = self.compute_services()[host]
        if service["status"] != "disabled":
            self._update_service(service, {"status": "disabled", "disabled_reason": reason})

    def enable(self, host: str, reason: str) -> None:
        """Enable a host again, if it is disabled with the given reason."""
        service = self.compute_services().get(host)
        if service and service["status"] == "disabled" and service["disabled_reason"] == reason:
            self._update_service(service, {"status": "enabled"})

    def _update_service(self, service: dict[str, Any], body: dict[str, Any]) -> None:
        self.request("PUT", f"/os-services/{service['id']}", json=body)
