# SPDX-License-Identifier: Apache-2.0
"""The Python API to fault tolerance.

All times are ISO 8601 strings in UTC, all pauses milliseconds. Errors are novaclient's (``novaclient.exceptions``), whose
``message`` says what to do instead and whose ``details``, where there are any, are the same for programs: ``{"code": str,
"params": dict}``; and those of :mod:`novaclient_colo.exceptions`.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from novaclient import base
from novaclient import exceptions as nova_exceptions

from novaclient_colo import exceptions, paging
from novaclient_colo.flavors import FtFlavorManager

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
# States in which something is under way.
UNDER_WAY = ("failing_over", "starting")
HEALTH_SEVERITY = {"critical": 3, "warning": 2, "unknown": 1, "ok": 0}

# What people must be told wherever such a pair's figures are shown
SIMULATED_NOTE = "Figures come from the simulated backend: no guest is replicated."

LIST = "/os-fault-tolerance/servers"
#: Answers of which a list is made.
Responses = list[Any]

#: Seconds between two looks at a pair that is waited for.
POLL_INTERVAL_S = 1.0


class Permission(NamedTuple):
    """Whether the caller can do something now, and why not."""

    allowed: bool
    reason: str


class FaultTolerance(base.Resource):
    """An FT server's pair, with the members of the wire format as attributes.

    ``server_id, name, project_id, flavor, ft_status, state, state_reason, health, health_reasons (list), wanted, first_error,
    mode, mode_policy, checkpoint_interval_ms, auto_reprotect, backend, epoch (int), primary and secondary ({host, since} or
    None), reserved_on, protected_since, progress ({stage, step, of, percent} or None), checkpoints ({total, mismatch,
    periodic, forced, last_at, window_s, per_min, pause_ms}), stale_since, failovers ({total, last_at, last_reason,
    last_gap_ms}), actions``

    Reasons are sentences. Beside each is the same for programs: ``state_reason_code`` and ``state_reason_params``, so too with
    ``first_error``, with ``last_reason`` in ``failovers``, and with ``reason`` in ``actions``; ``stage_code`` in ``progress``;
    and ``health_reason_details``, a list of ``{"code": str, "params": dict}``. A cloud of an earlier release has none of these.
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

    def rests_in(self, state: str) -> bool:
        """Say whether it is in a state; in one to stay in, with nothing under way any more.

        :param state: for example ``suspended``
        """
        return self.state == state and (state in UNDER_WAY or not self.progress)

    def permission(self, action: str) -> Permission:
        """Say whether the caller can do an action now.

        :param action: name of the action, for example ``failover``
        :returns: a :class:`Permission`; not allowed, with an empty reason, if the cloud does not know the action
        """
        for known in self.actions:
            if known["name"] == action:
                return Permission(known["allowed"], known["reason"])
        return Permission(False, "")


class Event(base.Resource):
    """Something that has happened to a pair: ``id (int), at, kind (a word), level (info, warning or error), message, code,
    params (dict), request_id, user_id``; the last two are None for what nobody has asked for."""

    def __repr__(self) -> str:
        return f"<Event: {self.at} {self.kind}>"


class Bucket(base.Resource):
    """The checkpoints that began within an interval: ``start, seconds, mismatch, periodic, forced (counts), pause_ms ({mean,
    max}, each a number or None)``."""

    def __repr__(self) -> str:
        return f"<Bucket: {self.start} {self.total}>"

    @property
    def total(self) -> int:
        """Checkpoints of all causes."""
        return self.mismatch + self.periodic + self.forced


class Checkpoints(base.Resource):
    """The history of a pair's checkpoints: ``since, until, bucket_s (seconds), buckets (of :class:`Bucket`, oldest first; those
    without a checkpoint are left out)``."""

    def __repr__(self) -> str:
        return f"<Checkpoints: {self.since} to {self.until}>"


class Host(base.Resource):
    """A host that can carry sides of pairs: ``host, agent ({state: up or down, seen_at, version, backend}), versions (by name),
    capable (bool), reasons (list), reason_details (list of {code, params}), primaries, secondaries, reserved_memory_mb (int),
    fenced_since``."""

    NAME_ATTR = "host"

    def __repr__(self) -> str:
        return f"<Host: {self.host}>"


class Page(NamedTuple):
    """One page of a list of pairs.

    ``summary`` counts all that the list is about, whatever state and health it asks for: ``{"total": int, "state": {state:
    int}, "health": {health: int}, "secondaries": {"total": int, "memory_mb": int}}``. ``next_marker`` is None on the last page.
    """

    pairs: list[FaultTolerance]
    summary: dict[str, Any]
    next_marker: str | None


class FaultToleranceManager(base.Manager):
    """Asks and steers fault tolerance. ``client.fault_tolerance`` of a novaclient with this extension.

    Whatever asks for one server takes a server, a :class:`FaultTolerance` or a server's id, and raises
    ``novaclient.exceptions.NotFound`` when there is no such server, ``NotFaultTolerant`` when it is no FT server, ``Forbidden``
    when the caller may not, ``FaultToleranceNotSupported`` when the cloud has no fault tolerance. What is asked of a pair is
    answered at once and done afterwards; ``Conflict`` says that it is not possible now, and what to do instead.
    """

    resource_class = FaultTolerance

    @property
    def flavors(self) -> FtFlavorManager:
        """The FT flavors of the cloud."""
        return FtFlavorManager(self.api)

    # --- what there is

    def discovery(self) -> dict[str, Any]:
        """Ask what the cloud can do.

        :returns: ``{"version": str, "modes": [str], "actions": [str], "can_see_hosts": bool, "simulated": bool, "limits":
            {"max_limit": int, "checkpoint_buckets": int}, "filters": [str], "sort_keys": [str]}``
        :raises FaultToleranceNotSupported: the cloud has no fault tolerance
        """
        _resp, body = self._get_or_unsupported("/os-fault-tolerance")
        return body["fault_tolerance"]

    def list(self, all_tenants: bool = False, limit: int | None = None, **filters: Any) -> base.ListWithMeta:
        """List the pairs of the caller's project, in the server's order.

        :param all_tenants: list those of all projects
        :param limit: at most so many; None for all
        :param filters: those of :meth:`iterate`
        :returns: a list of :class:`FaultTolerance`
        :raises novaclient.exceptions.Forbidden: the caller may not list all projects
        :raises novaclient.exceptions.BadRequest: a filter has a value that the cloud does not know
        :raises FaultToleranceNotSupported: the cloud has no fault tolerance
        """
        pages: Responses = []
        found = itertools.islice(self._iterate(pages, all_tenants, limit, filters), limit)
        return base.ListWithMeta(list(found), pages)

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
        """Yield the pairs of the caller's project; each page is asked for when it is needed.

        :param state: those in this state, or in any of these
        :param health: those of this health, or of any of these
        :param host: those with a side on this host; needs the right to see hosts
        :param project_id: those of this project
        :param name: those whose name contains this
        :param sort_key: one of discovery()'s ``sort_keys``
        :param sort_dir: ``asc`` or ``desc``
        :param marker: the server_id of the last one before
        :param page_size: pairs per request; the cloud has a limit of its own
        """
        filters = {"state": state, "health": health, "host": host, "project_id": project_id, "name": name}
        order = {"sort_key": sort_key, "sort_dir": sort_dir, "marker": marker}
        return self._iterate([], all_tenants, page_size, filters | order)

    def _iterate(
        self, responses: Responses, all_tenants: bool, page_size: int | None, query: dict[str, Any]
    ) -> Iterator[FaultTolerance]:
        """Yield pairs, and keep the responses that they were in."""
        wanted = {"all_tenants": 1 if all_tenants else None, "limit": page_size} | query
        for response, body in paging.pages(self._get_or_unsupported, LIST, wanted, "servers"):
            responses.append(response)
            yield from (FaultTolerance(self, pair, loaded=True) for pair in body["servers"])

    def page(self, all_tenants: bool = False, limit: int | None = None, **filters: Any) -> Page:
        """Show one page of a list of pairs, by one request.

        :param all_tenants: of the pairs of all projects
        :param limit: pairs on the page; the cloud has a limit of its own
        :param filters: those of :meth:`iterate` but ``page_size``
        :returns: a :class:`Page`
        """
        query = {"all_tenants": 1 if all_tenants else None, "limit": limit} | filters
        _resp, body = self._get_or_unsupported(paging.url(LIST, query))
        found = [FaultTolerance(self, pair, loaded=True) for pair in body["servers"]]
        more = any(link["rel"] == "next" for link in body.get("servers_links", ()))
        return Page(found, body["summary"], found[-1].server_id if more and found else None)

    def summary(self, all_tenants: bool = False) -> dict[str, Any]:
        """Count the pairs of the caller's project.

        :param all_tenants: count those of all projects
        :returns: ``{"total": int, "state": {state: int}, "health": {health: int}}``
        """
        query = {"all_tenants": 1 if all_tenants else None, "limit": 1}
        _resp, body = self._get_or_unsupported(paging.url(LIST, query))
        return body["summary"]

    def get(self, server: Any) -> FaultTolerance:
        """Show one pair.

        :returns: a :class:`FaultTolerance`
        """
        resp, body = self._get_of(_path(server))
        return FaultTolerance(self, body["fault_tolerance"], loaded=True, resp=resp)

    def checkpoints(self, server: Any, since: str | None = None, until: str | None = None) -> Checkpoints:
        """Show the history of a pair's checkpoints.

        :param since: ISO 8601, in UTC; an hour before ``until`` by default
        :param until: ISO 8601, in UTC; now by default
        :returns: a :class:`Checkpoints`
        :raises novaclient.exceptions.BadRequest: times that cannot be read, or in the wrong order
        """
        resp, body = self._get_of(paging.url(_path(server, "/checkpoints"), {"since": since, "until": until}))
        shown = body["checkpoints"]
        buckets = [Bucket(self, bucket, loaded=True) for bucket in shown["buckets"]]
        return Checkpoints(self, shown | {"buckets": buckets}, loaded=True, resp=resp)

    def events(self, server: Any, limit: int | None = None) -> base.ListWithMeta:
        """List what has happened to a pair, newest first.

        :param limit: at most so many; None for all that the cloud has kept
        :returns: a list of :class:`Event`
        """
        pages: Responses = []
        found = itertools.islice(self._iterate_events(pages, server, limit), limit)
        return base.ListWithMeta(list(found), pages)

    def iterate_events(self, server: Any, page_size: int | None = None) -> Iterator[Event]:
        """Yield what has happened to a pair, newest first; each page is asked for when it is needed."""
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

    # --- what can be asked of a pair

    def failover(self, server: Any, force: bool = False) -> base.TupleWithMeta:
        """Ask that the secondary becomes the primary. The pair's epoch grows when it is done.

        :param force: fail over although the pair is not healthy
        :returns: an empty tuple that carries ``request_ids``, as for all that is asked of a pair
        :raises NoHealthySecondary: there is none to fail over to
        :raises novaclient.exceptions.Conflict: not possible in the pair's state; the message says what to do instead
        """
        return self._act(server, "failover", {"force": True} if force else None)

    def protect(self, server: Any) -> base.TupleWithMeta:
        """Ask for a secondary, after the server was unprotected."""
        return self._act(server, "ft-protect", None)

    def unprotect(self, server: Any) -> base.TupleWithMeta:
        """Ask that the secondary is removed, and none made until somebody asks."""
        return self._act(server, "ft-unprotect", None)

    def suspend(self, server: Any) -> base.TupleWithMeta:
        """Ask that the secondary is removed, and its room kept."""
        return self._act(server, "ft-suspend", None)

    def resume(self, server: Any) -> base.TupleWithMeta:
        """Ask for a secondary, after protection was suspended."""
        return self._act(server, "ft-resume", None)

    def test_failover(self, server: Any, and_return: bool = False) -> base.TupleWithMeta:
        """Ask for a failover between hosts that are both well.

        :param and_return: fail back when the pair is protected again
        :raises novaclient.exceptions.Conflict: the pair is not protected
        """
        return self._act(server, "ft-test-failover", {"return": True} if and_return else None)

    def migrate_secondary(self, server: Any, host: str | None = None) -> base.TupleWithMeta:
        """Ask that the secondary moves to another host. Needs the right to name hosts when one is named.

        :param host: None for the next that has room
        :raises novaclient.exceptions.BadRequest: the host has no agent
        :raises novaclient.exceptions.Conflict: the pair is not protected, or the host cannot take it
        """
        return self._act(server, "ft-migrate-secondary", {"host": host})

    def set_mode(self, server: Any, mode: str) -> base.TupleWithMeta:
        """Ask that the pair synchronises otherwise.

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
        """Wait until a pair is as it is wanted.

        :param server: best the :class:`FaultTolerance` that was there before something was asked of it: an error that it had
            then, and has still, is none of what was asked
        :param done: a state, with nothing under way any more where it is one to stay in; or what says whether a pair is as wanted
        :param timeout: seconds
        :param progress: called with each pair that is not yet
        :returns: the pair then
        :raises WaitTimeoutError: when it is not in time; what was asked for goes on
        :raises WaitFailedError: when the pair is in the state ``error``, and that was not waited for
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
                late = f"Server {pair.name} is {pair.state}, and not {wanted} within {timeout:g} s."
                raise exceptions.WaitTimeoutError(pair, late)
            if progress is not None:
                progress(pair)
            time.sleep(min(POLL_INTERVAL_S, max(0.0, deadline - time.monotonic())))
        return pair

    # --- how it is asked

    def _get_of(self, url: str) -> tuple[Any, dict[str, Any]]:
        """Ask for something of one server."""
        try:
            return self.client.get(url)
        except nova_exceptions.NotFound:
            # An unknown server and a cloud without the filter both answer 404: only discovery tells them apart.
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


#: Reasons of refusals that are errors of their own.
_TYPES: dict[str, type[nova_exceptions.ClientException]] = {
    "not_fault_tolerant": exceptions.NotFaultTolerant,
    "no_healthy_secondary": exceptions.NoHealthySecondary,
}


def _typed(error: nova_exceptions.ClientException) -> nova_exceptions.ClientException:
    """Return an error as the type that the code of its reason stands for."""
    code = error.details.get("code") if isinstance(error.details, dict) else None
    kind = _TYPES.get(code) if code else None
    if kind is None or not issubclass(kind, type(error)):
        return error
    return kind(error.code, error.message, error.details, error.request_id, error.url, error.method)


def _path(server: Any, below: str = "") -> str:
    return f"/servers/{base.getid(server)}/os-fault-tolerance{below}"
