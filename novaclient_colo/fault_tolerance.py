# SPDX-License-Identifier: Apache-2.0
"""The Python API to fault tolerance: one manager, one resource.

All times are ISO 8601 strings in UTC, all pauses milliseconds. Errors are novaclient's
(``novaclient.exceptions``), whose ``message`` says what to do instead, and
:class:`~novaclient_colo.exceptions.FaultToleranceNotSupported`.
"""

from typing import Any, NamedTuple

from novaclient import base
from novaclient import exceptions as nova_exceptions

from novaclient_colo import exceptions

# How bad each value is, 0 is fine. A value this client does not know yet counts as 1.
STATE_SEVERITY = {
    "error": 3,
    "degraded": 2,
    "unprotected": 2,
    "failing_over": 2,
    "suspended": 1,
    "starting": 1,
    "protected": 0,
}
HEALTH_SEVERITY = {"critical": 3, "warning": 2, "unknown": 1, "ok": 0}

# What people must be told wherever such a pair's figures are shown
SIMULATED_NOTE = "Figures come from the simulated backend: no guest is replicated."


class Permission(NamedTuple):
    """Whether the caller can do something now, and why not."""

    allowed: bool
    reason: str


class FaultTolerance(base.Resource):
    """An FT server's pair, with the members of the wire format as attributes.

    ``server_id, name, project_id, flavor, ft_status, state, state_reason, health, health_reasons (list), mode,
    mode_policy, backend, epoch (int), primary and secondary ({host, since} or None), protected_since,
    progress ({stage, step, of, percent} or None), checkpoints ({total, mismatch, periodic, forced, last_at, window_s,
    per_min, pause_ms}), stale_since, failovers ({total, last_at, last_reason, last_gap_ms}), actions``
    """

    def __repr__(self) -> str:
        return f"<FaultTolerance: {self.name} {self.state}>"

    @property
    def id(self) -> str:
        """The server's id: a pair is named by its server."""
        return self.server_id

    @property
    def primary_host(self) -> str | None:
        """Host of the primary, None where the caller may not see hosts."""
        return (self.primary or {}).get("host")

    @property
    def secondary_host(self) -> str | None:
        """Host of the secondary, None where there is no secondary or the caller may not see hosts."""
        return (self.secondary or {}).get("host")

    @property
    def simulated(self) -> bool:
        """Whether the figures come from the simulated backend."""
        return self.backend == "simulated"

    @property
    def urgency(self) -> tuple[int, int, str]:
        """Sort key that puts the pair that needs a person most first."""
        state, health = STATE_SEVERITY.get(self.state, 1), HEALTH_SEVERITY.get(self.health, 1)
        return -max(state, health), -(state + health), self.name

    def permission(self, action: str) -> Permission:
        """Say whether the caller can do an action now.

        :param action: name of the action, for example ``failover``
        :returns: a :class:`Permission`; not allowed, with an empty reason, if the cloud does not know the action
        """
        for known in self.actions:
            if known["name"] == action:
                return Permission(known["allowed"], known["reason"])
        return Permission(False, "")


class FaultToleranceManager(base.Manager):
    """Asks and steers fault tolerance. ``client.fault_tolerance`` of a novaclient with this extension."""

    resource_class = FaultTolerance

    def discovery(self) -> dict[str, Any]:
        """Ask what the cloud can do.

        :returns: ``{"version": str, "modes": [str], "actions": [str], "can_see_hosts": bool, "simulated": bool}``
        :raises FaultToleranceNotSupported: the cloud has no fault tolerance
        """
        _resp, body = self._get_or_unsupported("/os-fault-tolerance")
        return body["fault_tolerance"]

    def list(self, all_tenants: bool = False) -> base.ListWithMeta:
        """List the pairs of the caller's project, in the server's order.

        :param all_tenants: list those of all projects
        :returns: a list of :class:`FaultTolerance`
        :raises novaclient.exceptions.Forbidden: the caller may not list all projects
        :raises FaultToleranceNotSupported: the cloud has no fault tolerance
        """
        url = "/os-fault-tolerance/servers" + ("?all_tenants=1" if all_tenants else "")
        # Not base.Manager._list: it writes shell-completion files to the home of whoever runs this, Horizon too.
        resp, body = self._get_or_unsupported(url)
        return base.ListWithMeta([FaultTolerance(self, pair, loaded=True) for pair in body["servers"]], resp)

    def get(self, server: Any) -> FaultTolerance:
        """Show one pair.

        :param server: a server, a :class:`FaultTolerance`, or a server's id
        :returns: a :class:`FaultTolerance`
        :raises novaclient.exceptions.NotFound: no such server
        :raises novaclient.exceptions.BadRequest: not an FT server
        :raises FaultToleranceNotSupported: the cloud has no fault tolerance
        """
        try:
            resp, body = self.client.get(f"/servers/{base.getid(server)}/os-fault-tolerance")
        except nova_exceptions.NotFound:
            # An unknown server and a cloud without the filter both answer 404: only discovery tells them apart.
            self.discovery()
            raise
        return FaultTolerance(self, body["fault_tolerance"], loaded=True, resp=resp)

    def failover(self, server: Any, force: bool = False) -> base.TupleWithMeta:
        """Ask that the secondary becomes the primary. Returns at once; the pair's epoch grows when it is done.

        :param server: a server, a :class:`FaultTolerance`, or a server's id
        :param force: fail over although the pair is not healthy
        :returns: an empty tuple that carries ``request_ids``
        :raises novaclient.exceptions.Conflict: not possible in the pair's state; the message says what to do instead
        :raises novaclient.exceptions.BadRequest: not an FT server
        :raises novaclient.exceptions.Forbidden: the caller may not
        :raises novaclient.exceptions.NotFound: no such server
        :raises FaultToleranceNotSupported: the cloud has no fault tolerance
        """
        body = {"failover": {"force": True} if force else None}
        try:
            resp, _body = self.client.post(f"/servers/{base.getid(server)}/action", body=body)
        except nova_exceptions.BadRequest as error:
            # nova.api.openstack.wsgi:Resource.get_method, for an action nobody registered
            if "no such action" in (error.message or "").lower():
                raise self._unsupported() from None
            raise
        return base.TupleWithMeta((), resp)

    def _get_or_unsupported(self, url: str) -> tuple[Any, dict[str, Any]]:
        try:
            return self.client.get(url)
        except nova_exceptions.NotFound:
            raise self._unsupported() from None

    def _unsupported(self) -> exceptions.FaultToleranceNotSupported:
        return exceptions.FaultToleranceNotSupported(self.client.get_endpoint())
