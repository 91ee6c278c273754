# SPDX-License-Identifier: Apache-2.0
"""An FT server as everybody sees it: its user, Nova, Neutron, Placement, and the hosts themselves."""

import time
from pathlib import Path
from typing import Any

import requests

from lab.core.patience import patient
from lab.hosts.real import Rack
from lab.machines import Host
from lab.machines.client import Counting
from tests.cloud_real.nova_server import PATIENCE, NovaServer
from tests.fixtures.cloud import Cloud, identity, wait_for


class FtServer(NovaServer):
    """A server of the flavor ft.nano; once it is used, a user counts on it over one connection.

    :ivar address: of its first port
    :ivar mac: of its first port
    """

    def __init__(self, cloud: Cloud, **more: Any):
        super().__init__(cloud, "ft", "ft.nano", **more)
        self._rack: Rack = cloud.lab.rack()
        self._counting: Counting | None = None
        self._domain = self.as_nova_shows_it["OS-EXT-SRV-ATTR:instance_name"]
        self.note_identity()
        self._had: set[str] = set()
        port = self.ports()[0]
        self.mac, self.address = port["mac_address"], port["fixed_ips"][0]["ip_address"]

    def note_identity(self) -> None:
        """Take what it is now for what it must stay."""
        self._identity = identity(self.as_nova_shows_it)

    def use(self, interval: float = 0.05) -> None:
        """Begin to count on it, over a new connection, once it is protected.

        :param interval: seconds between an answer and the next question
        """
        self._end_use()
        self.pair()
        self._rack.client.wait_for_answer(self.address)
        self._counting = self._rack.client.count(self.address, "d", interval)
        self._counting.__enter__()
        self.goes_on()
        # a connection that is younger than the last checkpoint outlives one loss of a primary only
        opened = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
        wait_for("a checkpoint", PATIENCE, lambda: (self.pair()["checkpoints"]["last_at"] or "") > opened)

    def delete(self) -> None:
        """End the user and the server; nothing must be left of it."""
        self._end_use()
        super().delete()
        left: dict[str, set] = {}

        def nothing_is_left() -> bool:
            left.update(self._said(()))
            return not any(left.values())

        try:
            wait_for("nothing is left of it", PATIENCE, nothing_is_left)
        except AssertionError as error:
            raise AssertionError({name: found for name, found in left.items() if found}) from error

    def _end_use(self) -> None:
        if self._counting is not None:
            self._counting.__exit__(None, None, None)
        self._counting = None

    # --- what is done to it

    def is_refused(self, action: str, argument: Any = None) -> str:
        """Assert that an action is refused for what state it is in; gives the reason."""
        answer = self._cloud.act(self.id, {action: argument})
        assert answer.status_code == 409, answer.text
        return answer.json()["conflictingRequest"]["message"]

    def in_state(self, state: str) -> dict[str, Any]:
        """Wait until its pair is in a state; gives the pair."""
        return self._cloud.in_state(self.name, state, PATIENCE)

    def pair(self) -> dict[str, Any]:
        """Wait until it is protected, and return its pair."""
        return self._cloud.protected(self.name, PATIENCE)

    def seen(self) -> dict[str, Any]:
        """Return its pair as it is shown."""
        return self._cloud.pairs()[self.name]

    def has_moved_on(self, before: dict[str, Any]) -> None:
        """Wait until its secondary has taken over, whatever else is still to be done.

        :param before: the pair as it was
        """
        wait_for("it has failed over", PATIENCE, lambda: self.seen()["epoch"] > before["epoch"])

    def failed_over(self, before: dict[str, Any], times: int = 1) -> dict[str, Any]:
        """Wait until it has failed over and is protected again; gives the pair.

        :param before: the pair as it was
        :param times: how often
        """
        epoch = before["epoch"] + times
        wait_for("it has failed over", PATIENCE, lambda: self._cloud.pairs()[self.name]["epoch"] >= epoch)
        self._cloud.failed_over(self.name, before, PATIENCE)
        return self.pair()

    def moved(self, before: dict[str, Any]) -> dict[str, Any]:
        """Wait until it has another secondary and is protected; gives the pair.

        :param before: the pair as it was
        """

        def has_another() -> bool:
            secondary = self._cloud.pairs()[self.name]["secondary"]
            return secondary is not None and secondary["host"] != before["secondary"]["host"]

        wait_for("it has another secondary", PATIENCE, has_another)
        return self.pair()

    def is_up(self, host: str) -> None:
        """Wait until Nova hears of a host."""
        wait_for(f"{host} is up", PATIENCE, lambda: host in self._cloud.hosts_up())

    def asks_for_its_address(self) -> None:
        """Let the user forget where it is, and ask all hosts for it."""
        client = self._rack.client
        client.namespace.ip("neigh", "flush", "to", self.address)
        client.wait_for_answer(self.address)

    def kill_qemu(self, host: str) -> None:
        """Kill its QEMU on a host."""
        self._rack.machines[host].kill_qemu(self._domain)

    # --- what must be true

    def goes_on(self, since: float = 0.0) -> float:
        """Assert that the user has noticed nothing but a pause, and that memory and disk are whole; gives its seconds.

        :param since: of time.time(): only a pause since then is meant
        """
        assert self._counting is not None
        self._counting.wait_for_more(10, seconds=PATIENCE)
        seen = self._counting.stats(since)
        assert (seen.error, seen.contiguous) == (None, True), seen
        said = self._rack.client.ask(self.address, "v", PATIENCE)
        assert said.startswith("ok"), said
        return seen.max_gap_s

    def is_whole(self, off: tuple[str, ...] = ()) -> None:
        """Assert that the user goes on, and that everybody says of the pair what is true, before long.

        :param off: hosts that have no power
        """
        self.goes_on()
        wanted: dict[str, set] = {}
        said: dict[str, set] = {}

        def all_is_true() -> bool:
            server = self.as_nova_shows_it
            assert identity(server) == self._identity
            wanted.update(self._true())
            said.update(self._said(off), Nova={(server["status"], server["OS-EXT-SRV-ATTR:host"])})
            return said == wanted

        try:
            wait_for("everybody says what is true", PATIENCE, all_is_true)
        except AssertionError as error:
            raise AssertionError(
                {name: (said[name], wanted[name]) for name in wanted if said[name] != wanted[name]}
            ) from error

    def _true(self) -> dict[str, set]:
        """Return what everybody must say of the server and its twin, going by its pair."""
        pair = self.pair()
        primary, secondary = pair["primary"]["host"], pair["secondary"]["host"]
        both = {primary, secondary}
        ports = {port["id"] for port in self.ports()}
        return {
            "Nova": {("ACTIVE", primary)},
            "allocations": {primary},
            "reservation": {secondary},
            "bindings": {(port, primary, "ACTIVE") for port in ports},
            "QEMUs": both,
            "files": both,
            "network cards": {(host, port) for host in both for port in ports},
        }

    def _said(self, off: tuple[str, ...]) -> dict[str, set]:
        """Return what everybody says of the server and its twin: hosts, or hosts with more."""
        on = {name: machine for name, machine in self._rack.machines.items() if name not in off}
        ports = {port["id"] for port in self.ports()}
        links = {name: machine.namespace.ip("link") for name, machine in on.items()}
        return {
            # Nova removes a dead host's when it is back
            "allocations": set(self._allocated()) - set(off),
            "reservation": set(self._cloud.reserved(self.id)),
            "bindings": {binding for port in ports for binding in self._bindings(port)},
            "QEMUs": {name for name, machine in on.items() if machine.qemu_pid(self._domain)},
            "files": {name for name, machine in on.items() if self._files(machine)},
            "network cards": {
                (name, port)
                for name, seen in links.items()
                for port in self._had
                if f"qbr{port[:11]}" in seen
            },
        }

    def _files(self, machine: Host) -> list[Path]:
        """Return what a host has of it on disk: its own files, and what agent and driver have written down."""
        found = list(machine.state_path.rglob(f"*{self.id}*"))
        folder = machine.outside(machine.instances / self.id)
        return [*found, *([folder] if folder.exists() else [])]

    def _allocated(self) -> dict[str, Any]:
        providers = self._cloud.placement("GET", "/resource_providers").json()["resource_providers"]
        names = {provider["uuid"]: provider["name"] for provider in providers}
        held = self._cloud.placement("GET", f"/allocations/{self.id}").json()["allocations"]
        return {names[uuid]: allocation["resources"] for uuid, allocation in held.items()}

    def ports(self) -> list[dict[str, Any]]:
        """Return its ports, as Neutron shows them."""
        found = self._network(f"/v2.0/ports?device_id={self.id}")["ports"]
        self._had |= {port["id"] for port in found}
        return found

    def _bindings(self, port: str) -> set[tuple[str, str, str]]:
        found = self._network(f"/v2.0/ports/{port}/bindings")["bindings"]
        return {(port, binding["host"], binding["status"]) for binding in found}

    def _network(self, path: str) -> dict[str, Any]:
        url = self._cloud.lab.url("network").rstrip("/") + path
        answer = requests.get(url, headers={"X-Auth-Token": self._cloud.token("admin")}, timeout=patient(60))
        assert answer.ok, answer.text
        return answer.json()
