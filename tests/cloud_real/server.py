# SPDX-License-Identifier: Apache-2.0
"""An FT server as its user, Nova, Neutron, Placement and the hosts see it."""

import time
from pathlib import Path
from typing import Any

from openstack.network.v2.port import Port

from lab.core.errors import LabError
from lab.hosts.real import CloudTestbed
from lab.machines import Host
from lab.machines.client import Counting
from tests.cloud_real.nova_server import PATIENCE, NovaServer
from tests.fixtures.cloud import Cloud, identity, wait_for


class FtServer(NovaServer):
    """A server of the flavor ft.nano; after use(), a client uses it over one connection.

    :ivar address: of its first port
    :ivar mac: of its first port
    """

    def __init__(self, cloud: Cloud, **more: Any):
        super().__init__(cloud, "ft", "ft.nano", **more)
        self._testbed: CloudTestbed = cloud.lab.testbed()
        self._counting: Counting | None = None
        self._domain = self.as_nova_shows_it["OS-EXT-SRV-ATTR:instance_name"]
        self.note_identity()
        self._known_ports: set[str] = set()
        port = self.ports()[0]
        self.mac, self.address = port["mac_address"], port["fixed_ips"][0]["ip_address"]

    def note_identity(self) -> None:
        """Record the attributes that must not change from now on."""
        self._identity = identity(self.as_nova_shows_it)

    def use(self, interval: float = 0.05) -> None:
        """Wait until it is protected, and start a client that uses it over a new connection.

        :param interval: seconds between a reply and the next request
        """
        self._end_use()
        self.pair()
        self._testbed.client.wait_for_answer(self.address)
        self._counting = self._testbed.client.count(self.address, "d", interval)
        self._counting.__enter__()
        self.goes_on()
        # a connection that is newer than the last checkpoint survives only one loss of a primary
        opened = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
        wait_for("a checkpoint", PATIENCE, lambda: (self.pair()["checkpoints"]["last_at"] or "") > opened)

    def delete(self) -> None:
        """End the client, delete the server, and check that nothing is left of it."""
        self._end_use()
        super().delete()
        left: dict[str, set] = {}

        def nothing_is_left() -> bool:
            left.update(self._actual_records(()))
            return not any(left.values())

        wait_for(
            "nothing is left of it",
            PATIENCE,
            nothing_is_left,
            lambda: {name: records for name, records in left.items() if records},
        )

    def _end_use(self) -> None:
        if self._counting is not None:
            self._counting.__exit__(None, None, None)
        self._counting = None

    # --- actions

    def is_refused(self, action: str, argument: Any = None) -> str:
        """Assert that an action is refused because of the pair's state, and return the reason."""
        answer = self._cloud.act(self.id, {action: argument})
        assert answer.status_code == 409, answer.text
        return answer.json()["conflictingRequest"]["message"]

    def in_state(self, state: str) -> dict[str, Any]:
        """Wait until its pair is in a state, and return the pair."""
        return self._cloud.in_state(self.name, state, PATIENCE)

    def pair(self) -> dict[str, Any]:
        """Wait until it is protected, and return its pair."""
        return self._cloud.protected(self.name, PATIENCE)

    def pair_now(self) -> dict[str, Any]:
        """Return its pair as the API shows it."""
        return self._cloud.pairs()[self.name]

    def has_failed_over(self, before: dict[str, Any]) -> None:
        """Wait until its secondary has taken over; Nova's records may not be updated yet.

        :param before: the pair before the failover
        """
        wait_for("it has failed over", PATIENCE, lambda: self.pair_now()["epoch"] > before["epoch"])

    def failed_over(self, before: dict[str, Any], times: int = 1) -> dict[str, Any]:
        """Wait until it has failed over and is protected again, and return the pair.

        :param before: the pair before the failover
        :param times: number of failovers
        """
        epoch = before["epoch"] + times
        wait_for("it has failed over", PATIENCE, lambda: self._cloud.pairs()[self.name]["epoch"] >= epoch)
        self._cloud.failed_over(self.name, before, PATIENCE)
        return self.pair()

    def moved(self, before: dict[str, Any]) -> dict[str, Any]:
        """Wait until it is protected by a secondary on another host, and return the pair.

        :param before: the pair before the move
        """

        def has_another() -> bool:
            secondary = self._cloud.pairs()[self.name]["secondary"]
            return secondary is not None and secondary["host"] != before["secondary"]["host"]

        wait_for("it has another secondary", PATIENCE, has_another)
        return self.pair()

    def is_up(self, host: str) -> None:
        """Wait until nova-compute of a host is up."""
        wait_for(f"{host} is up", PATIENCE, lambda: host in self._cloud.hosts_up())

    def client_sends_arp_request(self) -> None:
        """Clear the client's ARP entry of the server, so that it sends an ARP request to all hosts."""
        client = self._testbed.client
        client.namespace.ip("neigh", "flush", "to", self.address)
        client.wait_for_answer(self.address)

    def kill_qemu(self, host: str) -> None:
        """Kill its QEMU on a host with SIGKILL."""
        self._testbed.machines[host].kill_qemu(self._domain)

    # --- assertions

    def goes_on(self, since: float = 0.0) -> float:
        """Assert an unbroken connection and intact memory and disk; return the longest pause in seconds.

        :param since: a time.time(): only pauses since then count
        """
        assert self._counting is not None
        try:
            self._counting.wait_for_more(10, seconds=PATIENCE)
        except LabError as error:
            raise AssertionError(f"{error}; {self._diagnosis()}") from error
        stats = self._counting.stats(since)
        assert (stats.error, stats.contiguous) == (None, True), stats
        reply = self.ask("v")
        assert reply.startswith("ok"), reply
        return stats.max_gap_s

    def events(self) -> list[str]:
        """Return the messages of its events, newest first."""
        return self._cloud.events(self.id)

    def guest_powers_itself_off(self) -> None:
        """Make its guest power itself off; its answer to that may be lost."""
        self._end_use()
        self._testbed.client.try_ask(self.address, "o")

    def ask(self, command: str) -> str:
        """Return its service's reply to a command over a new connection."""
        return self._testbed.client.ask(self.address, command, PATIENCE)

    def _diagnosis(self) -> str:
        """Return what tells a lost connection from a guest without network, disk or CPU."""
        client, pair = self._testbed.client, self.pair_now()
        answers = {command: client.try_ask(self.address, command) for command in ("i", "d")}
        hosts = [pair[replica] and pair[replica]["host"] for replica in ("primary", "secondary")]
        return (
            f"over new connections: {answers}; the switch sends to {client.path_to(self.mac)}; "
            f"{pair['state']} on {hosts}, epoch {pair['epoch']}, health {pair['health_reasons']}"
        )

    def is_whole(self, off: tuple[str, ...] = ()) -> None:
        """Assert that the client is served, and that all records of the pair become consistent in time.

        :param off: hosts that have no power
        """
        self.goes_on()
        expected: dict[str, set] = {}
        actual: dict[str, set] = {}

        def is_consistent() -> bool:
            server = self.as_nova_shows_it
            assert identity(server) == self._identity
            expected.update(self._expected_records())
            actual.update(
                self._actual_records(off), Nova={(server["status"], server["OS-EXT-SRV-ATTR:host"])}
            )
            return actual == expected

        wait_for(
            "all records are consistent",
            PATIENCE,
            is_consistent,
            lambda: {
                name: (actual[name], expected[name]) for name in expected if actual[name] != expected[name]
            },
        )

    def _expected_records(self) -> dict[str, set]:
        """Return the expected records of the server and its secondary, derived from its pair."""
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
            "NICs": {(host, port) for host in both for port in ports},
        }

    def _actual_records(self, off: tuple[str, ...]) -> dict[str, set]:
        """Return the actual records of the server and its secondary: hosts, or hosts with details."""
        on = {name: machine for name, machine in self._testbed.machines.items() if name not in off}
        ports = {port["id"] for port in self.ports()}
        links = {name: machine.namespace.ip("link") for name, machine in on.items()}
        return {
            # Nova removes those of a dead host when it is back
            "allocations": set(self._allocated()) - set(off),
            "reservation": set(self._cloud.reserved(self.id)),
            "bindings": {binding for port in ports for binding in self._bindings(port)},
            "QEMUs": {name for name, machine in on.items() if machine.qemu_pid(self._domain)},
            "files": {name for name, machine in on.items() if self._files(machine)},
            "NICs": {
                (name, port)
                for name, output in links.items()
                for port in self._known_ports
                if f"qbr{port[:11]}" in output
            },
        }

    def _files(self, machine: Host) -> list[Path]:
        """Return its files on a host: its disks, and the state files of agent and driver."""
        files = list(machine.state_path.rglob(f"*{self.id}*"))
        folder = machine.outside(machine.instances / self.id)
        return [*files, *([folder] if folder.exists() else [])]

    def _allocated(self) -> dict[str, Any]:
        providers = self._cloud.placement("GET", "/resource_providers").json()["resource_providers"]
        names = {provider["uuid"]: provider["name"] for provider in providers}
        held = self._cloud.placement("GET", f"/allocations/{self.id}").json()["allocations"]
        return {names[uuid]: allocation["resources"] for uuid, allocation in held.items()}

    def ports(self) -> list[Port]:
        """Return its ports as Neutron shows them."""
        ports = list(self._cloud.network.ports(device_id=self.id))
        self._known_ports |= {port.id for port in ports}
        return ports

    def _bindings(self, port: str) -> set[tuple[str, str, str]]:
        bindings = self._cloud.network.port_bindings(port)
        return {(port, binding.host, binding.status) for binding in bindings}
