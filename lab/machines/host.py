# SPDX-License-Identifier: Apache-2.0
"""A host: namespaces of its own, a libvirtd of its own, a disk of its own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import libvirt

from lab.cloud import services
from lab.cloud.config.ini import render
from lab.core.errors import LabError
from lab.core.layout import Layout, write_private
from lab.core.process import Supervisor
from lab.core.service import Service
from lab.core.waiting import wait_for
from lab.guest.domain import Guest, domain_xml
from lab.guest.image import GuestImage
from lab.machines import agent, libvirtd
from lab.machines.broker import Broker
from lab.machines.management import Management
from lab.machines.network import GUEST, MANAGEMENT, REPLICATION, Link, Namespace, Switch, add_bridge

#: Where the guests' network cards are plugged, on every host.
BRIDGE = "br-guest"
REPLICATION_NETWORK = "10.78.0.0/24"

#: Keeps the mount and host name namespaces of a host: $1 its host name, $2 a file that says it is there, then pairs to bind.
HOLDER = """\
set -e
mount --make-rprivate /
hostname "$1"
ready=$2
shift 2
while [ $# -gt 0 ]; do mount --bind "$1" "$2"; shift 2; done
: >"$ready"
exec sleep infinity
"""


@dataclass(frozen=True)
class Room:
    """What the hosts of a bed have in common.

    :ivar broker: starts the bed's broker unless it runs, and returns it
    """

    layout: Layout
    supervisor: Supervisor
    switch: Switch
    management: Management
    broker: Callable[[], Broker]


class Host:
    """One host of a bed.

    :ivar name: what the bed calls it
    :ivar hostname: what it calls itself
    :ivar address: its address in the replication network
    :ivar uri: reaches its libvirtd from anywhere on this machine; inside of the host ``qemu:///system`` does
    :ivar replication: its cable to the other hosts
    :ivar management: its cable to the broker
    :ivar guest_network: the cable that carries the guests' traffic
    :ivar emulator: the folder of the program that libvirtd is to take for QEMU; QEMU itself by default
    :ivar migrates: whether its libvirtd talks to those of other hosts, as a live migration needs; not by default
    :ivar state_path: where its agent keeps what outlives a power cut, the same from inside and outside
    :ivar nova_path: where its nova-compute does, if it has one
    :ivar agent_log: what its agent has logged since the bed is up
    """

    def __init__(self, name: str, number: int, room: Room, namespace: Namespace) -> None:
        self.name = name
        self.hostname = f"compute-{name}"
        self.address = f"10.78.0.{number}"
        self._folder = room.layout.host(name)
        self._instances = room.layout.prefix / "instances"
        self.uri = f"qemu+unix:///system?socket={self._folder / 'run' / 'libvirt-sock'}"
        self._number = number
        self._ports = {network: f"{network}-{number}" for network in (GUEST, REPLICATION, MANAGEMENT)}
        self.guest_network = Link(room.switch, self._ports[GUEST])
        self.replication = Link(room.switch, self._ports[REPLICATION])
        self.management = Link(room.switch, self._ports[MANAGEMENT])
        self.state_path = self._folder / "state"
        self.nova_path = self._folder / "nova"
        self.agent_log = self._folder / "log" / "nova-colo-agent.log"
        self.namespace = namespace
        self._room = room
        self._switch = room.switch
        self._supervisor = room.supervisor
        self._holder = f"host-{name}"
        self._libvirtd = f"libvirtd-{name}"
        self._agent = f"agent-{name}"
        self.emulator: Path | None = None
        self.migrates = False

    @property
    def management_address(self) -> str:
        """Its address in the management network, once the bed is up."""
        return self._room.management.address(self._number)

    @property
    def instances(self) -> Path:
        """The folder of the guests' files: one path for all hosts, and behind it, inside each of them, another folder."""
        return self._instances

    def outside(self, path: Path) -> Path:
        """Return where a file below :attr:`instances` is for who is not inside of the host."""
        return self._folder / "instances" / path.relative_to(self._instances)

    def is_on(self) -> bool:
        """Tell whether it has power."""
        return self._supervisor.is_running(self._holder)

    def power_on(self) -> None:
        """Switch it on, if it is not: cables plugged, libvirtd answers, no guest runs. Cut cables are whole again."""
        if self.is_on():
            return
        self.namespace.create()
        self._plug_in()
        self._hold(libvirtd.prepare(self._folder, self.address))
        self.start_libvirtd()

    def power_cut(self) -> None:
        """Take its power: silent at once, its processes are gone and so is /run; its disk stays. May be repeated."""
        # The cables first: the kernel says goodbye to the peers of a killed process, a host without power does not.
        for port in self._ports.values():
            self._switch.unplug(port)
        self.namespace.delete()
        self._supervisor.stop([self._agent, self._libvirtd, self._holder])
        shutil.rmtree(self._folder / "run", ignore_errors=True)

    def freeze(self) -> None:
        """Stop every process of it, with nobody told: neither its connections nor its carrier are lost."""
        self.namespace.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let what was frozen go on."""
        self.namespace.signal(signal.SIGCONT)

    def start_libvirtd(self) -> None:
        """Start libvirtd, if it does not run, and wait until it answers."""
        # libvirtd looks for QEMU where programs are looked for
        path = {"PATH": f"{self.emulator}:{os.environ['PATH']}"} if self.emulator else {}
        command = self.command([*libvirtd.COMMAND, *(libvirtd.LISTEN if self.migrates else ())])
        self._supervisor.start(Service(self._libvirtd, tuple(command), path, host=self.name))
        wait_for(
            f"libvirtd on {self.name}", self._missing_socket, self._supervisor, [self._libvirtd], seconds=60
        )
        self.connect().close()

    def restart_libvirtd(self) -> None:
        """End libvirtd gracefully and start it again; its guests go on."""
        self._supervisor.stop([self._libvirtd])
        self.start_libvirtd()

    def freeze_libvirtd(self) -> None:
        """Stop libvirtd's process; its guests go on, and nobody is told."""
        self._signal_libvirtd(signal.SIGSTOP)

    def thaw_libvirtd(self) -> None:
        """Let a frozen libvirtd go on."""
        self._signal_libvirtd(signal.SIGCONT)

    def _signal_libvirtd(self, number: signal.Signals) -> None:
        pid = self._supervisor.pid(self._libvirtd)
        if pid is None:
            raise LabError(f"no libvirtd runs on {self.name}")
        os.kill(pid, number)

    def kill_libvirtd(self) -> None:
        """Kill libvirtd with SIGKILL; its guests go on."""
        self._supervisor.kill([self._libvirtd])

    def start_agent(self, **options: Mapping[str, object]) -> None:
        """Start nova-colo-agent, if it does not run with this configuration, and wait until it has begun to send heartbeats.

        :param options: sections of its configuration, over what :func:`lab.machines.agent.conf` says
        :raises LabError: when it ends, or has not connected to the broker in time
        """
        broker = self._room.broker()
        conf = self._folder / "etc" / "nova-colo-agent.conf"
        if write_private(conf, render(agent.conf(self, broker.transport_url, options))):
            self.stop_agent()  # one with another
        begun = time.time()
        argv = self.command([services.program("nova-colo-agent"), "--config-file", str(conf)])
        self._supervisor.start(Service(self._agent, tuple(argv), host=self.name))
        wait_for(
            f"the agent of {self.name}",
            lambda: agent.missing(self, begun),
            self._supervisor,
            [self._agent],
            seconds=60,
        )

    def stop_agent(self) -> None:
        """End the agent gracefully; its guests go on."""
        self._supervisor.stop([self._agent])

    def kill_agent(self) -> None:
        """Kill the agent with SIGKILL; its guests go on."""
        self._supervisor.kill([self._agent])

    def connect(self) -> libvirt.virConnect:
        """Return a new connection to its libvirtd."""
        return libvirt.open(self.uri)

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs ``argv`` inside of the host. It holds until the host loses its power."""
        pid = self._supervisor.pid(self._holder)
        if pid is None:
            raise LabError(f"{self.name} has no power")
        return ["nsenter", f"--target={pid}", "--net", "--mount", "--uts", "--", *argv]

    def run(self, argv: Sequence[str]) -> str:
        """Run a command inside of the host and return what it printed. Raises LabError with its complaint."""
        result = subprocess.run(
            self.command(argv), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if result.returncode:
            raise LabError(
                f"'{' '.join(argv)}' on {self.name} ended with {result.returncode}: {result.stderr.strip()}"
            )
        return result.stdout

    def reaches(self, other: "Host") -> bool:
        """Tell whether a ping to another host is answered over the replication network."""
        try:
            self.run(["busybox", "ping", "-c", "1", "-W", "1", other.address])
        except LabError:
            return False
        return True

    def create_disks(self, guest: Guest) -> None:
        """Make the guest's folder and its disks, all zeros, unless they are there."""
        for path in guest.disk_paths(self._instances):
            disk = self.outside(path)
            disk.parent.mkdir(parents=True, exist_ok=True)
            with disk.open("ab") as handle:
                handle.truncate(guest.disk_bytes)

    def start_guest(self, guest: Guest) -> libvirt.virDomain:
        """Make its disks, define it and start it, as Nova would. Returns the running domain."""
        self.create_disks(guest)
        domain = self.connect().defineXML(domain_xml(guest, GuestImage.ensure(), self._instances))
        domain.create()
        return domain

    def remove_guest(self, guest: Guest) -> None:
        """End a guest, whoever started it here, and remove its definition and its files. Does nothing when there is none."""
        for domain in self.connect().listAllDomains():
            if domain.name() != guest.name:
                continue
            runs = domain.isActive()
            if domain.isPersistent():
                domain.undefine()  # one that runs becomes transient, another is gone
            if runs:
                with contextlib.suppress(libvirt.libvirtError):  # it has just ended by itself
                    domain.destroy()
        shutil.rmtree(self.outside(self._instances / guest.uuid), ignore_errors=True)

    def console(self, guest: Guest) -> str:
        """Return what the guest has printed on its serial console on this host."""
        log = self.outside(guest.console_path(self._instances))
        return log.read_text(errors="replace") if log.exists() else ""

    def qemu_pid(self, name: str) -> int | None:
        """Return the pid of the QEMU of a domain, None when none runs here."""
        try:
            pid = int((self._folder / "run" / "qemu" / f"{name}.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if pid in self.namespace.pids() else None

    def kill_qemu(self, name: str) -> None:
        """Kill the QEMU of a domain with SIGKILL."""
        pid = self.qemu_pid(name)
        if pid is None:
            raise LabError(f"no QEMU of {name} runs on {self.name}")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def _plug_in(self) -> None:
        add_bridge(self.namespace, BRIDGE)
        self._switch.plug(GUEST, self._ports[GUEST], self.namespace, "uplink")
        self.namespace.ip("link", "set", "uplink", "master", BRIDGE)
        self._switch.plug(REPLICATION, self._ports[REPLICATION], self.namespace, "repl")
        self._keep_mac("repl", 78)
        self.namespace.ip("address", "add", f"{self.address}/24", "dev", "repl")
        # COLO's control channel sends small messages one way: each would wait for a delayed acknowledgement, 40 ms.
        route = [REPLICATION_NETWORK, "dev", "repl", "proto", "kernel", "scope", "link", "src", self.address]
        self.namespace.ip("route", "change", *route, "quickack", "1")
        self._switch.plug(MANAGEMENT, self._ports[MANAGEMENT], self.namespace, "mgmt")
        self._keep_mac("mgmt", 79)
        self.namespace.ip("address", "add", f"{self.management_address}/24", "dev", "mgmt")

    def _keep_mac(self, device: str, network: int) -> None:
        """Give a NIC the MAC address that it has always had.

        With another one the host is not reached for most of a minute after a power cut (arp(7), base_reachable_time).
        """
        self.namespace.ip("link", "set", device, "address", f"52:54:00:{network}:00:{self._number:02x}")

    def _hold(self, bound: dict[Path, Path]) -> None:
        """Begin the mount and host name namespaces, with ``bound`` over what is elsewhere on this machine."""
        hosts = self._folder / "hosts"
        hosts.write_text(f"127.0.0.1 localhost\n{self.address} {self.hostname}\n")
        for folder in (self._instances, self._folder / "instances"):
            folder.mkdir(mode=0o700, exist_ok=True)
        bound = bound | {hosts: Path("/etc/hosts"), self._folder / "instances": self._instances}
        ready = self._folder / "run" / "ready"
        ready.unlink(missing_ok=True)
        pairs = [str(path) for pair in bound.items() for path in pair]
        unshare = ["ip", "netns", "exec", self.namespace.name, "unshare", "--mount", "--uts"]
        argv = (*unshare, "/bin/sh", "-c", HOLDER, "holder", self.hostname, str(ready), *pairs)
        self._supervisor.start(Service(self._holder, argv, host=self.name))
        missing = f"{ready} is not there"
        wait_for(
            f"host {self.name}",
            lambda: None if ready.exists() else missing,
            self._supervisor,
            [self._holder],
            seconds=30,
        )

    def _missing_socket(self) -> str | None:
        """Return what is missing before libvirtd takes connections; it answers them once its drivers are ready."""
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self._folder / "run" / "libvirt-sock"))
        return None
