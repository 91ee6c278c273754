# SPDX-License-Identifier: Apache-2.0
"""A fake of Keystone and of Nova with the fault tolerance API, served over HTTP on loopback.

It implements docs/interfaces.md, and the part of Keystone and Nova that the real clients and a real Horizon
use.
"""

import copy
import json
import re
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib import parse
from wsgiref import simple_server

from nova_colo.pair import reasons
from nova_colo.pair.reasons import Reason

DOMAIN = {"id": "default", "name": "Default"}
USERS = {"admin": ["admin", "member", "reader"], "demo": ["member", "reader"]}
PASSWORD = "secret"
PROJECTS = {"admin": "a" * 32, "demo": "d" * 32}
STATES = ("error", "degraded", "unprotected", "failing_over", "suspended", "starting", "protected")
HEALTHS = ("critical", "warning", "unknown", "ok")
ACTIONS = (
    "failover",
    "ft-protect",
    "ft-unprotect",
    "ft-suspend",
    "ft-resume",
    "ft-test-failover",
    "ft-migrate-secondary",
    "ft-set-mode",
)
NO_SUCH_ACTION = "There is no such action: failover. Verify the request body contains exactly one action."


def seconds_ago(seconds: float) -> str:
    """Return a time in the API's format."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def actions(**refused: str) -> list[dict[str, Any]]:
    """Return the actions of a protected pair for the caller.

    :param refused: reasons by action, with underscores in their names, besides those of actions that are
        never possible
    """
    impossible = {"ft-protect": reasons.PROTECTED_ALREADY(), "ft-resume": reasons.NOT_SUSPENDED()}
    refusals = {name.replace("_", "-"): reason for name, reason in refused.items()}
    return [
        {"name": name, "allowed": False, "reason": refusals[name], "reason_code": None, "reason_params": {}}
        if refusals.get(name)
        else {"name": name, "allowed": why is None, **reason_as("reason", why, "")}
        for name in ACTIONS
        for why in (None if name in refusals else impossible.get(name),)
    ]


def reason_as(name: str, reason: Reason | None, absent: str | None = None) -> dict[str, Any]:
    """Return a reason as members of a JSON object."""
    if reason is None:
        return {name: absent, f"{name}_code": None, f"{name}_params": {}}
    return {
        name: str(reason),
        f"{name}_code": reason.code,
        f"{name}_params": reason.wire(hosts=True)["params"],
    }


def make_pair(name: str = "web-1", **changes: Any) -> dict[str, Any]:
    """Return a healthy, protected pair as JSON; keyword arguments replace its members."""
    requested = reason_as("last_reason", reasons.REQUESTED())
    pair = {
        "server_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
        "name": name,
        "project_id": PROJECTS["demo"],
        "flavor": "ft.nano",
        "ft_status": "primary",
        "state": "protected",
        **reason_as("state_reason", None, ""),
        "health": "ok",
        "health_reasons": [],
        "health_reason_details": [],
        "mode": "colo",
        "mode_policy": "colo",
        "backend": "qemu",
        "epoch": 3,
        "primary": {"host": "compute-a", "since": seconds_ago(7200)},
        "secondary": {"host": "compute-b", "since": seconds_ago(3600)},
        "protected_since": seconds_ago(3500),
        "progress": None,
        "checkpoints": {
            "total": 1210,
            "mismatch": 907,
            "periodic": 300,
            "forced": 3,
            "last_at": seconds_ago(2),
            "window_s": 300,
            "per_min": 21.5,
            "pause_ms": {"mean": 9.1, "p99": 14.0, "max": 20.1},
        },
        "stale_since": None,
        "failovers": {"total": 1, "last_at": seconds_ago(7200), "last_gap_ms": None, **requested},
        "wanted": "protected",
        **reason_as("first_error", None),
        "checkpoint_interval_ms": None,
        "auto_reprotect": True,
        "actions": actions(),
    }
    return {**pair, **changes}


class Response(Exception):  # noqa: N818  it is a response, raised to leave a handler early
    """A response: status and JSON body."""

    def __init__(self, status: int, body: Any = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, list(headers)


def fault(status: int, message: str, code: str | None = None) -> Response:
    """Return an error in Nova's format.

    :param code: of its reason
    """
    details = {"details": {"code": code, "params": {}}} if code else {}
    return Response(status, {"fault": {"code": status, "message": message, **details}})


class FakeCloud:
    """The fake, a context manager.

    :ivar pairs: by the ids of their servers
    :ivar filter_installed: whether the cloud has the fault tolerance API
    :ivar can_see_hosts: whether the caller may see hosts
    :ivar failures: by (method, end of the path): (status, message), and the code of a reason if there is one
    :ivar polls_until_done: number of requests for a pair until its failover is complete; None for never
    :ivar compute_url: of the catalog
    :ivar events, buckets, hosts, flavors: the same for all pairs and users
    :ivar requests: received requests as (method, path with query)
    :ivar bodies: the bodies of POST requests
    """

    def __init__(self, pairs: Iterable[dict[str, Any]] = ()) -> None:
        self.pairs = {pair["server_id"]: copy.deepcopy(pair) for pair in pairs}
        self.filter_installed = True
        self.can_see_hosts = True
        self.failures: dict[tuple[str, str], tuple[int, str] | tuple[int, str, str]] = {}
        self.polls_until_done: int | None = 1
        self.after_failover: dict[str, Any] = {"state": "protected", "state_reason": ""}
        self.requests: list[tuple[str, str]] = []
        self.events: list[dict[str, Any]] = []
        self.buckets: list[dict[str, Any]] = []
        self.hosts: list[dict[str, Any]] = []
        self.flavors: dict[str, dict[str, Any]] = {}
        self.access: dict[str, list[str]] = {}
        self.bodies: list[Any] = []
        self._tokens: dict[str, tuple[str, str | None]] = {}
        self._polls: dict[str, int] = {}

    def __enter__(self) -> "FakeCloud":
        self._server = simple_server.make_server(
            "127.0.0.1", 0, self._application, handler_class=_QuietHandler
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.compute_url = f"{self.url}/compute/v2.1"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def env(self, user: str) -> dict[str, str]:
        """Return the environment variables with which the clients log in."""
        return {
            "OS_AUTH_URL": f"{self.url}/identity/v3",
            "OS_USERNAME": user,
            "OS_PASSWORD": PASSWORD,
            "OS_PROJECT_NAME": user,
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
            "OS_REGION_NAME": "RegionOne",
            "OS_IDENTITY_API_VERSION": "3",
        }

    def _application(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
        method = environ["REQUEST_METHOD"]
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = json.loads(environ["wsgi.input"].read(length)) if length else None
        try:
            answer = self._answer(method, path, query, body, environ.get("HTTP_X_AUTH_TOKEN"))
        except Response as raised:
            answer = raised
        content = b"" if answer.body is None else json.dumps(answer.body).encode()
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(content))),
            *answer.headers,
        ]
        start_response(f"{answer.status} status", headers)
        return [content]

    def _answer(self, method: str, path: str, query: str, body: Any, token: str | None) -> Response:
        self.requests.append((method, path + (f"?{query}" if query else "")))
        if method == "POST":
            self.bodies.append(body)
        for (failing, ending), failure in self.failures.items():
            if method == failing and path.endswith(ending):
                return fault(*failure)
        if path.startswith("/identity"):
            return self._identity(method, path.removeprefix("/identity"), body, token)
        path = re.sub(r"^/compute(/v2\.1)?", "", path)
        if path in ("", "/"):
            version = {
                "id": "v2.1",
                "status": "CURRENT",
                "version": "2.96",
                "min_version": "2.1",
                "links": [{"rel": "self", "href": self.compute_url}],
            }
            return Response(200, {"version": version})
        if token not in self._tokens:
            return fault(401, "The request you have made requires authentication.")
        user = self._tokens[token][0]
        return self._compute(method, path, query, body, user)

    def _identity(self, method: str, path: str, body: Any, token: str | None) -> Response:
        if path in ("/v3", "/v3/"):
            links = [{"rel": "self", "href": f"{self.url}/identity/v3/"}]
            return Response(200, {"version": {"id": "v3.14", "status": "stable", "links": links}})
        if (method, path) == ("POST", "/v3/auth/tokens"):
            return self._issue_token(body["auth"])
        user = self._tokens.get(token or "", ("demo", None))[0]
        projects = [
            {"id": id_, "name": name, "enabled": True, "domain_id": "default", "links": {}}
            for name, id_ in PROJECTS.items()
        ]
        if path == "/v3/domains/default":
            return Response(200, {"domain": {**DOMAIN, "enabled": True, "links": {}}})
        if path == "/v3/projects":
            return (
                Response(200, {"projects": projects})
                if user == "admin"
                else fault(403, "You are not authorized.")
            )
        if path == "/v3/users/u-1" and user == "admin":
            return Response(200, {"user": {"id": "u-1", "name": "alice", "enabled": True, "links": {}}})
        if path in (f"/v3/users/{user}/projects", "/v3/auth/projects"):
            return Response(200, {"projects": [project for project in projects if project["name"] == user]})
        for project in projects:
            if path == f"/v3/projects/{project['id']}":
                return Response(200, {"project": project})
        return fault(404, "The resource could not be found.")

    def _issue_token(self, auth: dict[str, Any]) -> Response:
        identity, scope = auth["identity"], auth.get("scope")
        if "password" in identity["methods"]:
            user = identity["password"]["user"]["name"]
            if user not in USERS or identity["password"]["user"]["password"] != PASSWORD:
                return fault(401, "The request you have made requires authentication.")
        else:
            user = self._tokens[identity["token"]["id"]][0]
        token: dict[str, Any] = {
            "methods": ["password"],
            "user": {"id": user, "name": user, "domain": DOMAIN, "password_expires_at": None},
            "issued_at": seconds_ago(0),
            "expires_at": seconds_ago(-3600),
            "audit_ids": ["x"],
        }
        project = None
        if isinstance(scope, dict) and "project" in scope:
            wanted = scope["project"]
            project = next(
                (n for n, id_ in PROJECTS.items() if wanted.get("id") == id_ or wanted.get("name") == n), None
            )
            if project is None:
                return fault(401, "No such project.")
            token["project"] = {"id": PROJECTS[project], "name": project, "domain": DOMAIN}
            token["roles"] = [{"id": role, "name": role} for role in USERS[user]]
            token["catalog"] = [
                self._catalog_entry("identity", f"{self.url}/identity/v3"),
                self._catalog_entry("compute", self.compute_url),
            ]
        elif isinstance(scope, dict):
            return fault(401, "The user has no role on the domain.")
        token_id = uuid.uuid4().hex
        self._tokens[token_id] = (user, project)
        return Response(201, {"token": token}, [("X-Subject-Token", token_id)])

    @staticmethod
    def _catalog_entry(type_: str, url: str) -> dict[str, Any]:
        endpoints = [
            {
                "id": f"{type_}-{interface}",
                "interface": interface,
                "region": "RegionOne",
                "region_id": "RegionOne",
                "url": url,
            }
            for interface in ("public", "internal", "admin")
        ]
        return {"id": type_, "type": type_, "name": type_, "endpoints": endpoints}

    def _compute(self, method: str, path: str, query: str, body: Any, user: str) -> Response:
        if path in ("/servers", "/servers/detail"):
            return self._list_servers(query, user)
        if match := re.fullmatch(r"/servers/([^/]+)/action", path):
            return self._act(match[1], body, user)
        if match := re.fullmatch(r"/servers/([^/]+)", path):
            return Response(200, {"server": self._server_of(self._pair(match[1], user))})
        if path.startswith("/flavors"):
            return self._flavors(method, path, body)
        if self.filter_installed and path == "/os-fault-tolerance":
            discovery = {
                "version": "1.0",
                "modes": ["colo"],
                "actions": ["failover"],
                "can_see_hosts": self.can_see_hosts,
                "simulated": any(p["backend"] == "simulated" for p in self.pairs.values()),
            }
            return Response(200, {"fault_tolerance": discovery})
        if self.filter_installed and path == "/os-fault-tolerance/servers":
            return self._list_pairs(query, user)
        if self.filter_installed and (match := re.fullmatch(r"/servers/([^/]+)/os-fault-tolerance", path)):
            return Response(200, {"fault_tolerance": self._shown(self._poll(self._pair(match[1], user)))})
        if self.filter_installed and (
            match := re.fullmatch(r"/servers/([^/]+)/os-fault-tolerance/(events|checkpoints)", path)
        ):
            self._pair(match[1], user)
            return Response(200, self._history(match[2], query))
        if self.filter_installed and path == "/os-fault-tolerance/hosts":
            return Response(200, {"hosts": self.hosts})
        return Response(404, {"itemNotFound": {"code": 404, "message": "The resource could not be found."}})

    def _visible(self, pair: dict[str, Any], user: str) -> bool:
        return user == "admin" or pair["project_id"] == PROJECTS[user]

    def _pair(self, server_id: str, user: str) -> dict[str, Any]:
        pair = self.pairs.get(server_id)
        if pair is None or not self._visible(pair, user):
            raise fault(404, f"Instance {server_id} could not be found.")
        return pair

    def _own(self, query: str, user: str) -> list[dict[str, Any]]:
        if "all_tenants" not in query:
            return [pair for pair in self.pairs.values() if pair["project_id"] == PROJECTS[user]]
        if user != "admin":
            raise fault(403, "Policy doesn't allow it to be performed.")
        return list(self.pairs.values())

    def _list_servers(self, query: str, user: str) -> Response:
        name = re.search(r"(?:^|&)name=([^&]+)", query)
        servers = [pair for pair in self._own(query, user) if not name or name[1] in pair["name"]]
        return Response(200, {"servers": [self._server_of(pair) for pair in servers]})

    def _list_pairs(self, query: str, user: str) -> Response:
        """List pairs, by default those first that need attention."""
        asked = parse.parse_qs(query)
        scope = [pair for pair in self._own(query, user) if asked.get("name", [""])[0] in pair["name"]]
        counted = {"total": len(scope)} | {
            key: Counter(pair[key] for pair in scope) for key in ("state", "health")
        }
        running = sum(pair["secondary"] is not None for pair in scope)
        counted["secondaries"] = {"total": running, "memory_mb": 1024 * running}
        rank = lambda pair: STATES.index(pair["state"]) if pair["state"] in STATES else len(STATES)  # noqa: E731
        listed = sorted(scope, key=lambda pair: (HEALTHS.index(pair["health"]), rank(pair), pair["name"]))
        listed = [pair for pair in listed if pair["state"] in asked.get("state", [pair["state"]])]
        if "marker" in asked:
            ids = [pair["server_id"] for pair in listed]
            listed = listed[ids.index(asked["marker"][0]) + 1 :]
        limit = int(asked.get("limit", ["1000"])[0])
        body: dict[str, Any] = {"servers": [self._shown(pair) for pair in listed[:limit]], "summary": counted}
        if len(listed) > limit:
            following = parse.urlencode(asked | {"marker": listed[limit - 1]["server_id"]}, doseq=True)
            href = f"{self.compute_url}/os-fault-tolerance/servers?{following}"
            body["servers_links"] = [{"rel": "next", "href": href}]
        return Response(200, body)

    def _flavors(self, method: str, path: str, body: Any) -> Response:
        """Implement Nova's flavors and their extra specs, as far as FT flavors need them."""
        if path == "/flavors/detail":
            return Response(200, {"flavors": list(self.flavors.values())})
        if (method, path) == ("POST", "/flavors"):
            asked = body["flavor"]
            if any(known["name"] == asked["name"] for known in self.flavors.values()):
                return fault(409, f"Flavor with name {asked['name']} already exists.")
            return Response(
                200, {"flavor": self.add_flavor(asked["name"], asked["ram"], asked["vcpus"], asked["disk"])}
            )
        _, flavor_id, *more = path.strip("/").split("/")
        flavor = self.flavors.get(flavor_id)
        if flavor is None:
            return fault(404, f"Flavor {flavor_id} could not be found.")
        match method, more:
            case "POST", ["os-extra_specs"]:
                flavor["extra_specs"] |= body["extra_specs"]
            case "POST", ["action"]:
                self.access.setdefault(flavor_id, []).append(body["addTenantAccess"]["tenant"])
                return Response(200, {"flavor_access": []})
            case "DELETE", ["os-extra_specs", key]:
                del flavor["extra_specs"][key]
                return Response(200)
            case "DELETE", []:
                del self.flavors[flavor_id]
                return Response(202)
        return Response(200, {"flavor": flavor, "extra_specs": flavor["extra_specs"]})

    def add_flavor(
        self, name: str, ram: int = 512, vcpus: int = 1, disk: int = 1, **specs: str
    ) -> dict[str, Any]:
        """Add a flavor with the id ``id-NAME``.

        :param specs: extra specs, with an underscore in place of the colon in their names
        """
        flavor = {"id": f"id-{name}", "name": name, "ram": ram, "vcpus": vcpus, "disk": disk, "links": []}
        flavor |= {
            "os-flavor-access:is_public": True,
            "extra_specs": {k.replace("_", ":", 1): v for k, v in specs.items()},
        }
        self.flavors[flavor["id"]] = flavor
        return flavor

    def _history(self, what: str, query: str) -> dict[str, Any]:
        if what == "events":
            return {"events": self.events}
        since = parse.parse_qs(query)["since"][0]
        return {
            "checkpoints": {"since": since, "until": seconds_ago(0), "bucket_s": 10, "buckets": self.buckets}
        }

    @staticmethod
    def _server_of(pair: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": pair["server_id"],
            "name": pair["name"],
            "status": "ACTIVE",
            "tenant_id": pair["project_id"],
            "links": [],
            "OS-EXT-FT:ft_status": pair["ft_status"],
        }

    def _shown(self, pair: dict[str, Any]) -> dict[str, Any]:
        if self.can_see_hosts:
            return pair
        hidden = {
            replica: {**pair[replica], "host": None} for replica in ("primary", "secondary") if pair[replica]
        }
        return {**pair, **hidden}

    def _act(self, server_id: str, body: dict[str, Any], user: str) -> Response:
        if not self.filter_installed:
            return fault(400, NO_SUCH_ACTION)
        pair = self._pair(server_id, user)
        for action in pair["actions"]:
            if (
                action["name"] in body
                and not action["allowed"]
                and not (body[action["name"]] or {}).get("force")
            ):
                return fault(409, action["reason"], action.get("reason_code"))
        if "failover" in body or "ft-test-failover" in body:
            self._polls[server_id] = 0
            pair.update(state="failing_over", state_reason="Requested.")
        return Response(202)

    def _poll(self, pair: dict[str, Any]) -> dict[str, Any]:
        server_id = pair["server_id"]
        if server_id not in self._polls or self.polls_until_done is None:
            return pair
        self._polls[server_id] += 1
        if self._polls[server_id] > self.polls_until_done:
            del self._polls[server_id]
            pair.update(primary=pair["secondary"], secondary=pair["primary"], epoch=pair["epoch"] + 1)
            pair.update(copy.deepcopy(self.after_failover))
        return pair


class _QuietHandler(simple_server.WSGIRequestHandler):
    def log_message(self, *_args: Any) -> None:
        pass
