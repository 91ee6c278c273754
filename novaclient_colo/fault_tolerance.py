# SPDX-License-Identifier: Apache-2.0
"""The Python API of fault tolerance.

All times are ISO 8601 strings in UTC, all pauses milliseconds. Errors are those of
:mod:`novaclient_colo.exceptions` and novaclient's (``novaclient.exceptions``). Their ``message`` has the
remedy; their ``details``, if any, are the reason as data: ``{"code": str, "params": dict}``.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from novaclient import base
from novaclient import exceptions as nova_exceptions

from novaclient_colo import exceptions, paging
from novaclient_colo.flavors import FtFlavorManager

# Severity of each value; 0 is fine. A value of a newer release counts as 1.
STATE_SEVERITY = {
    "error": 3,
    "degraded": 2,
    "unprotected": 2,
    "failing_over": 2,
    "suspended": 1,
    "starting": 1,
    "protected": 0,
}
# States in which an operation is in progress.
UNDER_WAY = ("failing_over", "starting")
HEALTH_SEVERITY = {"critical": 3, "warning": 2, "unknown": 1, "ok": 0}

# Note for users wherever figures of a simulated pair are shown
SIMULATED_NOTE = "Figures come from the simulated backend: no guest is replicated."

LIST = "/os-fault-tolerance/servers"
#: The responses with the pages of a list.
Responses = list[Any]

#: Seconds between two polls of a pair while waiting for it.
POLL_INTERVAL_S = 1.0


class Permission(NamedTuple):
    """Whether the caller can perform an action now, and the reason if not."""

    allowed: bool
    reason: str


class FaultTolerance(base.Resource):
    """An FT server's pair, with the members of the API's object as attributes.

    ``server_id, name, project_id, flavor, ft_status, state, state_reason, health, health_reasons (list),
    wanted, first_error, mode, mode_policy, checkpoint_interval_ms, auto_reprotect, backend, epoch (int),
    primary and secondary ({host, since} or None), reserved_on, protected_since, progress ({stage, step, of,
    percent} or None), checkpoints ({total, mismatch, periodic, forced, last_at, window_s, per_min,
    pause_ms}), stale_since, failovers ({total, last_at, last_reason, last_gap_ms}), actions``

    Reasons are sentences. Each has a code and parameters beside it: ``state_reason_code`` and
    ``state_reason_params``, and likewise for ``first_error``, for ``last_reason`` in ``failovers``, and for
    ``reason`` in ``actions``; ``stage_code`` in ``progress``; and ``health_reason_details``, a list of
    ``{"code": str, "params": dict}``. A cloud of an earlier release has none of these.
    """

    def __repr__(self) -> str:
        return f"<FaultTolerance: {self.name} {self.state}>"

    @property
    def id(self) -> str:
        """The server's id, which also identifies its pair."""
        return self.server_id

    @property
    def primary_host(self) -> str | None:
        """Host of the primary; None when the caller may not see hosts."""
        return (self.primary or {}).get("host")

    @property
    def secondary_host(self) -> str | None:
        """Host of the secondary; None when there is no secondary or the caller may not see hosts."""
        return (self.secondary or {}).get("host")

    @property
    def simulated(self) -> bool:
        """Whether the figures come from the simulated backend."""
        return self.backend == "simulated"

    @property
    def urgency(self) -> tuple[int, int, str]:
        """Sort key by which the pair that most needs attention is first."""
        state, health = STATE_SEVERITY.get(self.state, 1), HEALTH_SEVERITY.get(self.health, 1)
        return -max(state, health), -(state + health), self.name

    def rests_in(self, state: str) -> bool:
        """Return whether the pair is in a state; in a stable one, with no operation in progress.

        :param state: for example ``suspended``
        """
        return self.state == state and (state in UNDER_WAY or not self.progress)

    def permission(self, action: str) -> Permission:
        """Return whether the caller can perform an action now.

        :param action: name of the action, for example ``failover``
        :returns: a :class:`Permission`; not allowed, with an empty reason, if the cloud does not have the
            action
        """
        for known in self.actions:
            if known["name"] == action:
                return Permission(known["allowed"], known["reason"])
        return Permission(False, "")


class Event(base.Resource):
    """An event of a pair.

    ``id (int), at, kind, level (info, warning or error), message, code, params (dict), request_id, user_id``;
    the last two are None for an event that no user requested.
    """

    def __repr__(self) -> str:
        return f"<Event: {self.at} {self.kind}>"


class Bucket(base.Resource):
    """The checkpoints that began within an interval.

    ``start, seconds, mismatch, periodic, forced (counts), pause_ms ({mean, max}, each a number or None)``
    """

    def __repr__(self) -> str:
        return f"<Bucket: {self.start} {self.total}>"

    @property
    def total(self) -> int:
        """The number of checkpoints of all causes."""
        return self.mismatch + self.periodic + self.forced


class Checkpoints(base.Resource):
    """The history of a pair's checkpoints.

    ``since, until, bucket_s (seconds), buckets (of :class:`Bucket`, oldest first; those without a checkpoint
    are left out)``
    """

    def __repr__(self) -> str:
        return f"<Checkpoints: {self.since} to {self.until}>"


class Host(base.Resource):
    """A host that can carry replicas.

    ``host, agent ({state: up or down, seen_at, version, backend}), versions (by name), capable (bool),
    reasons (list), reason_details (list of {code, params}), primaries, secondaries, reserved_memory_mb (int),
    fenced_since``
    """

    NAME_ATTR = "host"

    def __repr__(self) -> str:
        return f"<Host: {self.host}>"


class Page(NamedTuple):
    """One page of a list of pairs.

    ``summary`` counts all pairs of the list, whatever its filters of state and health: ``{"total": int,
    "state": {state: int}, "health": {health: int}, "secondaries": {"total": int, "memory_mb": int}}``.
    ``next_marker`` is None on the last page.
    """

    pairs: list[FaultTolerance]
    summary: dict[str, Any]
    next_marker: str | None


class FaultToleranceManager(base.Manager):
    """Manager of fault tolerance: ``client.fault_tolerance`` of a novaclient with this extension.

    Methods on one server take a server, a :class:`FaultTolerance` or a server's id. They raise
    ``novaclient.exceptions.NotFound`` when there is no such server, ``NotFaultTolerant`` when it is not an FT
    server, ``Forbidden`` when policy does not allow the request, and ``FaultToleranceNotSupported`` when the
    cloud has no fault tolerance. Actions on pairs return at once and are carried out afterwards; ``Conflict``
    means that an action is not possible now, and its message has the remedy.
    """

    resource_class = FaultTolerance

    @property
    def flavors(self) -> FtFlavorManager:
        """The FT flavors of the cloud."""
        return FtFlavorManager(self.api)

    # --- queries

    def discovery(self) -> dict[str, Any]:
        """Return the features of the cloud's fault tolerance.

        :returns: ``{"version": str, "modes": [str], "actions": [str], "can_see_hosts": bool, "simulated":
            bool, "limits": {"max_limit": int, "checkpoint_buckets": int}, "filters": [str], "sort_keys":
            [str]}``
        :raises FaultToleranceNotSupported: the cloud has no fault tolerance
        """
        _resp, body = self._get_or_unsupported("/os-fault-tolerance")
        return body["fault_tolerance"]

    def list(self, all_tenants: bool = False, limit: int | None = None, **filters: Any) -> base.ListWithMeta:
        """List the pairs of the caller's project, in the server's order.

        :param all_tenants: list those of all projects
        :param limit: maximum number of pairs; None for all
        :param filters: those of :meth:`iterate`
        :returns: a list of :class:`FaultTolerance`
        :raises novaclient.exceptions.Forbidden: the caller may not list all projects
        :raises novaclient.exceptions.BadRequest: a filter has an unknown value
        :raises FaultToleranceNotSupported: the cloud has no fault tolerance
        """
        responses: Responses = []
        pairs = itertools.islice(self._iterate(responses, all_tenants, limit, filters), limit)
        return base.ListWithMeta(list(pairs), responses)

    def iterate(
        self,
        all_tenants: bool = False,
        *,
        state: str | Iterable[str] | None = None,
        health: str | Iterable[str] | None = None,
        host: str | None = None,
        project_id: str | None = None,
        name: str | None = None,
        sort_key: str | None = None,
        sort_dir: str | None = None,
        marker: str | None = None,
        page_size: int | None = None,
    ) -> Iterator[FaultTolerance]:
        """Yield the pairs of the caller's project; each page is requested when it is needed.

        :param state: only pairs in this state, or in any of these
        :param health: only pairs of this health, or of any of these
        :param host: only pairs with a replica on this host; needs the right to see hosts
        :param project_id: only pairs of this project
        :param name: only pairs whose name contains this
        :param sort_key: one of discovery()'s ``sort_keys``
        :param sort_dir: ``asc`` or ``desc``
        :param marker: the server_id of the last pair before the first one to yield
        :param page_size: pairs per request; the cloud has a limit of its own
        """
        filters = {"state": state, "health": health, "host": host, "project_id": project_id, "name": name}
        order = {"sort_key": sort_key, "sort_dir": sort_dir, "marker": marker}
        return self._iterate([], all_tenants, page_size, filters | order)

    def _iterate(
        self, responses: Responses, all_tenants: bool, page_size: int | None, query: dict[str, Any]
    ) -> Iterator[FaultTolerance]:
        """Yield pairs, and append the response of each page to ``responses``."""
        query = {"all_tenants": 1 if all_tenants else None, "limit": page_size} | query
        for response, body in paging.pages(self._get_or_unsupported, LIST, query, "servers"):
            responses.append(response)
            yield from (FaultTolerance(self, pair, loaded=True) for pair in body["servers"])

    def page(self, all_tenants: bool = False, limit: int | None = None, **filters: Any) -> Page:
        """Return one page of a list of pairs, by one request.

        :param all_tenants: list the pairs of all projects
        :param limit: pairs on the page; the cloud has a limit of its own
        :param filters: those of :meth:`iterate` except ``page_size``
        :returns: a :class:`Page`
        """
        query = {"all_tenants": 1 if all_tenants else None, "limit": limit} | filters
        _resp, body = self._get_or_unsupported(paging.url(LIST, query))
        pairs = [FaultTolerance(self, pair, loaded=True) for pair in body["servers"]]
        more = any(link["rel"] == "next" for link in body.get("servers_links", ()))
        return Page(pairs, body["summary"], pairs[-1].server_id if more and pairs else None)

    def summary(self, all_tenants: bool = False) -> dict[str, Any]:
        """Return the numbers of pairs of the caller's project.

        :param all_tenants: count those of all projects
        :returns: ``{"total": int, "state": {state: int}, "health": {health: int}}``
        """
        query = {"all_tenants": 1 if all_tenants else None, "limit": 1}
        _resp, body = self._get_or_unsupported(paging.url(LIST, query))
        return body["summary"]

    def get(self, server: Any) -> FaultTolerance:
        """Return one pair.

        :returns: a :class:`FaultTolerance`
        """
        resp, body = self._get_of(_path(server))
        return FaultTolerance(self, body["fault_tolerance"], loaded=True, resp=resp)

    def checkpoints(self, server: Any, since: str | None = None, until: str | None = None) -> Checkpoints:
        """Return the history of a pair's checkpoints.

        :param since: ISO 8601, in UTC; an hour before ``until`` by default
        :param until: ISO 8601, in UTC; now by default
        :returns: a :class:`Checkpoints`
        :raises novaclient.exceptions.BadRequest: a time cannot be parsed, or they are in the wrong order
        """
        resp, body = self._get_of(paging.url(_path(server, "/checkpoints"), {"since": since, "until": until}))
        history = body["checkpoints"]
        buckets = [Bucket(self, bucket, loaded=True) for bucket in history["buckets"]]
        return Checkpoints(self, history | {"buckets": buckets}, loaded=True, resp=resp)

    def events(self, server: Any, limit: int | None = None) -> base.ListWithMeta:
        """List the events of a pair, newest first.

        :param limit: maximum number of events; None for all that the cloud has kept
        :returns: a list of :class:`Event`
        """
        responses: Responses = []
        events = itertools.islice(self._iterate_events(responses, server, limit), limit)
        return base.ListWithMeta(list(events), responses)

    def iterate_events(self, server: Any, page_size: int | None = None) -> Iterator[Event]:
        """Yield the events of a pair, newest first; each page is requested when it is needed."""
        return self._iterate_events([], server, page_size)

    def _iterate_events(self, responses: Responses, server: Any, page_size: int | None) -> Iterator[Event]:
        for response, body in paging.pages(
            self._get_of, _path(server, "/events"), {"limit": page_size}, "events"
        ):
            responses.append(response)
            yield from (Event(self, event, loaded=True) for event in body["events"])

    def hosts(self) -> base.ListWithMeta:
        """List the hosts that have an agent, by name. Needs the right to see hosts.

        :returns: a list of :class:`Host`
        :raises novaclient.exceptions.Forbidden: the caller may not see hosts
        :raises FaultToleranceNotSupported: the cloud has no fault tolerance
        """
        resp, body = self._get_or_unsupported("/os-fault-tolerance/hosts")
        return base.ListWithMeta([Host(self, host, loaded=True) for host in body["hosts"]], resp)

    # --- actions on a pair

    def failover(self, server: Any, force: bool = False) -> base.TupleWithMeta:
        """Request a failover to the secondary. The pair's epoch is higher when it is done.

        :param force: fail over although its state is not protected
        :returns: an empty tuple with ``request_ids``, as for all actions on a pair
        :raises NoHealthySecondary: there is none to fail over to
        :raises novaclient.exceptions.Conflict: not possible in the pair's state; the message has the remedy
        """
        return self._act(server, "failover", {"force": True} if force else None)

    def protect(self, server: Any) -> base.TupleWithMeta:
        """Request a secondary, after the server was unprotected."""
        return self._act(server, "ft-protect", None)

    def unprotect(self, server: Any) -> base.TupleWithMeta:
        """Request the removal of the secondary; none is created until it is requested."""
        return self._act(server, "ft-unprotect", None)

    def suspend(self, server: Any) -> base.TupleWithMeta:
        """Request the removal of the secondary; its capacity stays reserved."""
        return self._act(server, "ft-suspend", None)

    def resume(self, server: Any) -> base.TupleWithMeta:
        """Request a secondary, after protection was suspended."""
        return self._act(server, "ft-resume", None)

    def test_failover(self, server: Any, and_return: bool = False) -> base.TupleWithMeta:
        """Request a failover between two healthy hosts.

        :param and_return: fail back when the pair is protected again
        :raises novaclient.exceptions.Conflict: the pair is not protected
        """
        return self._act(server, "ft-test-failover", {"return": True} if and_return else None)

    def migrate_secondary(self, server: Any, host: str | None = None) -> base.TupleWithMeta:
        """Request the move of the secondary to another host. Naming a host needs the right to do so.

        :param host: None for the next host with capacity
        :raises novaclient.exceptions.BadRequest: the host has no agent
        :raises novaclient.exceptions.Conflict: the pair is not protected, or the host cannot take it
        """
        return self._act(server, "ft-migrate-secondary", {"host": host})

    def set_mode(self, server: Any, mode: str) -> base.TupleWithMeta:
        """Request a change of the pair's mode.

        :param mode: one of discovery()'s ``modes``: colo, checkpoint or hybrid
        """
        return self._act(server, "ft-set-mode", {"mode": mode})

    def wait_for(
        self,
        server: Any,
        done: str | Callable[[FaultTolerance], bool],
        timeout: float = 300.0,
        progress: Callable[[FaultTolerance], None] | None = None,
    ) -> FaultTolerance:
        """Wait until a pair is in a state, or fulfils a condition.

        :param server: preferably the :class:`FaultTolerance` from before the request: an error that it had
            then, and still has, is not a failure of the request
        :param done: a state, which must be stable with no operation in progress if it is a final one; or a
            function that returns whether the condition is fulfilled
        :param timeout: seconds
        :param progress: called with the pair at each poll until then
        :returns: the pair
        :raises WaitTimeoutError: when the time is over; the requested operation continues
        :raises WaitFailedError: when the pair is in the state ``error``, unless that is what to wait for
        """
        reached = done if callable(done) else lambda pair: pair.rests_in(done)
        deadline = time.monotonic() + timeout
        old = (server.state, server.state_reason) if isinstance(server, FaultTolerance) else None
        while not reached(pair := self.get(server)):
            if (pair.state, pair.state_reason) != old:
                old = None
            if pair.state == "error" and old is None:
                raise exceptions.WaitFailedError(pair, f"Server {pair.name}: {pair.state_reason}")
            if time.monotonic() >= deadline:
                wanted = "as wanted" if callable(done) else done
                late = f"Timed out after {timeout:g} s: server {pair.name} is {pair.state}, not {wanted}."
                raise exceptions.WaitTimeoutError(pair, late)
            if progress is not None:
                progress(pair)
            time.sleep(min(POLL_INTERVAL_S, max(0.0, deadline - time.monotonic())))
        return pair

    # --- requests

    def _get_of(self, url: str) -> tuple[Any, dict[str, Any]]:
        """Send a GET for one server."""
        try:
            return self.client.get(url)
        except nova_exceptions.NotFound:
            # An unknown server and a cloud without the filter both give 404: only discovery tells them apart.
            self.discovery()
            raise
        except nova_exceptions.BadRequest as error:
            raise _typed(error) from None

    def _act(self, server: Any, action: str, arguments: dict[str, Any] | None) -> base.TupleWithMeta:
        try:
            resp, _body = self.client.post(f"/servers/{base.getid(server)}/action", body={action: arguments})
        except nova_exceptions.BadRequest as error:
            # nova.api.openstack.wsgi:Resource.get_method, for an action nobody registered
            if "no such action" in (error.message or "").lower():
                self.discovery()
                raise exceptions.ActionNotSupported(action, self.client.get_endpoint()) from None
            raise _typed(error) from None
        except nova_exceptions.Conflict as error:
            raise _typed(error) from None
        return base.TupleWithMeta((), resp)

    def _get_or_unsupported(self, url: str) -> tuple[Any, dict[str, Any]]:
        try:
            return self.client.get(url)
        except nova_exceptions.NotFound:
            raise exceptions.FaultToleranceNotSupported(self.client.get_endpoint()) from None


#: Codes of refusals with an exception type of their own.
_TYPES: dict[str, type[nova_exceptions.ClientException]] = {
    "not_fault_tolerant": exceptions.NotFaultTolerant,
    "no_healthy_secondary": exceptions.NoHealthySecondary,
}


def _typed(error: nova_exceptions.ClientException) -> nova_exceptions.ClientException:
    """Return an error as the exception type of its reason's code."""
    code = error.details.get("code") if isinstance(error.details, dict) else None
    kind = _TYPES.get(code) if code else None
    if kind is None or not issubclass(kind, type(error)):
        return error
    return kind(error.code, error.message, error.details, error.request_id, error.url, error.method)


def _path(server: Any, below: str = "") -> str:
    return f"/servers/{base.getid(server)}/os-fault-tolerance{below}"
