# SPDX-License-Identifier: Apache-2.0
"""A lab's cloud as its users see it: raw HTTP, the commands, and waiting for something to become true."""

import functools
import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import requests
from keystoneauth1 import session
from keystoneauth1.identity import v3
from openstack.connection import Connection

from lab import Lab
from lab.patience import patient
from lab.seed import connect
from lab.seed.resources import IMAGE
from nova_colo.pair.model import twin_id
from tests import programs

BIN = pathlib.Path(sys.executable).parent
T = TypeVar("T")
#: The first microversion in which a service has an id that all cells know.
SERVICES = {"OpenStack-API-Version": "compute 2.53"}


def wait_for(what: str, seconds: float, look: Callable[[], T]) -> T:
    """Look every half second until it is true; gives what was seen.

    :param seconds: on a machine at rest, see :mod:`lab.patience`
    :raises AssertionError: when it has not become true by then
    """
    deadline = time.monotonic() + patient(seconds)
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not within {patient(seconds):g} s: {what}"
        time.sleep(0.5)
    return seen


def lab_command(lab: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run python3 -m lab for a lab."""
    command = [sys.executable, "-m", "lab", "--prefix", str(lab.layout.prefix), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=patient(300))


class Cloud:
    """The cloud of a lab."""

    def __init__(self, lab: Lab):
        self.lab = lab
        self.compute = lab.url("compute").rstrip("/")
        self._tokens: dict[str, str] = {}

    def session(self, user: str) -> session.Session:
        """Return a keystoneauth1 session of a user in its own project."""
        env = self.lab.env(user)
        auth = v3.Password(
            auth_url=env["OS_AUTH_URL"],
            username=env["OS_USERNAME"],
            password=env["OS_PASSWORD"],
            project_name=env["OS_PROJECT_NAME"],
            user_domain_id="default",
            project_domain_id="default",
        )
        return session.Session(auth)

    def project_id(self, user: str) -> str:
        """Return the id of a user's own project."""
        return self.session(user).get_project_id()

    def token(self, user: str) -> str:
        """Return a token of a user in its own project."""
        if user not in self._tokens:
            self._tokens[user] = self.session(user).get_token()
        return self._tokens[user]

    def request(self, method: str, path: str, user: str = "admin", url: str | None = None, **kwargs: Any) -> requests.Response:
        """Send a request to the compute API.

        :param path: below the compute endpoint
        :param url: another compute endpoint than the lab's
        """
        headers = {"X-Auth-Token": self.token(user)} | kwargs.pop("headers", {})
        return requests.request(method, (url or self.compute) + path, headers=headers, timeout=patient(60), **kwargs)

    def pairs(self, user: str = "admin") -> dict[str, dict[str, Any]]:
        """Return the pairs of all projects by the names of their servers; of a user's own for others than admin."""
        query = "?all_tenants=1" if user == "admin" else ""
        response = self.request("GET", f"/os-fault-tolerance/servers{query}", user)
        assert response.status_code == 200, response.text
        return {pair["name"]: pair for pair in response.json()["servers"]}

    def server(self, name: str) -> dict[str, Any]:
        """Return a server as Nova shows it to admin."""
        response = self.request("GET", "/servers/detail?all_tenants=1", headers={"OpenStack-API-Version": "compute 2.67"})
        return next(server for server in response.json()["servers"] if server["name"] == name)

    def ft_hosts(self) -> list[dict[str, Any]]:
        """Return the hosts as the API shows them."""
        response = self.request("GET", "/os-fault-tolerance/hosts")
        assert response.status_code == 200, response.text
        return response.json()["hosts"]

    def hosts_up(self) -> set[str]:
        """Return the hosts whose nova-compute reports itself."""
        return {host for host, service in self.compute_services().items() if service["state"] == "up"}

    def compute_services(self) -> dict[str, dict[str, Any]]:
        """Return the services nova-compute, by host, as Nova shows them to admin."""
        services = self.request("GET", "/os-services?binary=nova-compute", headers=SERVICES).json()["services"]
        return {service["host"]: service for service in services}

    def set_compute_service(self, host: str, **values: Any) -> None:
        """Change a nova-compute in Nova's records: ``status``, ``disabled_reason``, ``forced_down``."""
        path = f"/os-services/{self.compute_services()[host]['id']}"
        answer = self.request("PUT", path, headers=SERVICES, json=values)
        assert answer.status_code == 200, answer.text

    def force_down(self, host: str, down: bool) -> None:
        """Tell Nova that a host is dead, or that it is not any more."""
        self.set_compute_service(host, forced_down=down)

    @functools.cached_property
    def sdk(self) -> Connection:
        """openstacksdk as admin, in the project of the demo servers."""
        return connect(self.lab.spec(), "admin", "demo")

    def create_server(self, name: str, flavor: str, networks: Sequence[str] = (), **more: Any) -> str:
        """Make a server and wait until it is ACTIVE; gives its id.

        :param networks: by name, one for each NIC
        :param more: of openstacksdk's create_server
        """
        sdk = self.sdk
        plugged = [{"uuid": sdk.network.find_network(network, ignore_missing=False).id} for network in networks]
        made = sdk.compute.create_server(
            name=name,
            flavor_id=sdk.compute.find_flavor(flavor, ignore_missing=False).id,
            image_id=sdk.image.find_image(IMAGE, ignore_missing=False).id,
            networks=plugged or "none",
            **more,
        )

        def is_active() -> bool:
            server = sdk.compute.get_server(made.id)
            assert server.status != "ERROR", server.fault
            return server.status == "ACTIVE"

        wait_for(f"{name} is ACTIVE", 180, is_active)
        return made.id

    def act(self, server_id: str, body: Any, user: str = "admin") -> requests.Response:
        """POST an action."""
        return self.request("POST", f"/servers/{server_id}/action", user, json=body)

    def protected(self, name: str, seconds: float = 120) -> dict[str, Any]:
        """Wait until a server is protected; gives its pair."""

        def look() -> dict[str, Any] | None:
            pair = self.pairs().get(name)
            return pair if pair and pair["state"] == "protected" else None

        return wait_for(f"{name} is protected", seconds, look)

    def in_state(self, name: str, state: str, seconds: float = 90) -> dict[str, Any]:
        """Wait until a server's pair is in a state; gives the pair."""

        def look() -> dict[str, Any] | None:
            pair = self.pairs().get(name)
            return pair if pair and pair["state"] == state and (state == "starting" or not pair["progress"]) else None

        return wait_for(f"{name} is {state}", seconds, look)

    def events(self, server_id: str) -> list[str]:
        """Return what has happened to a server, newest first, as admin reads it."""
        response = self.request("GET", f"/servers/{server_id}/os-fault-tolerance/events")
        assert response.status_code == 200, response.text
        return [event["message"] for event in response.json()["events"]]

    def reserved(self, server_id: str) -> dict[str, dict[str, int]]:
        """Return what placement holds for a server's secondary, by host."""
        providers = {p["uuid"]: p["name"] for p in self.placement("GET", "/resource_providers").json()["resource_providers"]}
        held = self.placement("GET", f"/allocations/{twin_id(server_id)}").json()["allocations"]
        return {providers[uuid]: allocation["resources"] for uuid, allocation in held.items()}

    def placement(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        """Send a request to placement as admin."""
        headers = {"X-Auth-Token": self.token("admin"), "OpenStack-API-Version": "placement 1.38"}
        url = self.lab.url("placement").rstrip("/") + path
        return requests.request(method, url, headers=headers, timeout=patient(60), **kwargs)

    def failed_over(self, name: str, before: dict[str, Any], seconds: float = 120) -> dict[str, Any]:
        """Wait until a failover that began after a pair was seen has ended; gives the pair now."""

        def look() -> dict[str, Any] | None:
            pair = self.pairs()[name]
            ended = pair["epoch"] > before["epoch"] and pair["state"] not in ("failing_over", "error")
            return pair if ended else None

        return wait_for(f"{name} has failed over", seconds, look)

    def run(self, *command: str, user: str = "admin") -> subprocess.CompletedProcess[str]:
        """Run one of tests.programs as a user."""
        return programs.run(*command, env={**os.environ, **self.lab.env(user)})

    def openstack(self, *arguments: str) -> Any:
        """Run openstack as admin, in the project of the demo servers; gives the decoded JSON."""
        env = {**os.environ, **self.lab.env("admin", "demo")}
        done = programs.run("openstack", *arguments, "-f", "json", env=env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def identity(server: dict[str, Any]) -> dict[str, Any]:
    """Return what a failover must not change of a server."""
    return {name: server[name] for name in ("id", "name", "addresses", "tenant_id", "created", "metadata", "flavor")}
