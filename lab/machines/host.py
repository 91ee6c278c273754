# SPDX-License-Identifier: Apache-2.0
"""A host: a machine with its own namespaces, libvirtd and disk."""

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
from lab.machines import agent, libvirtd, users
from lab.machines.broker import Broker
from lab.machines.management import Management
from lab.machines.network import GUEST, MANAGEMENT, REPLICATION, Link, Namespace, Switch, add_bridge

#: Bridge of the guests' NICs on every host.
BRIDGE = "br-guest"
REPLICATION_NETWORK = "10.78.0.0/24"

#: Holds the mount and UTS namespaces of a host. $1: host name, $2: file created when ready, $3: lines of
#: shell to begin with, then bind mounts.
HOLDER = """\
set -e
mount --make-rprivate /
hostname "$1"
ready=$2
eval "$3"
shift 3
while [ $# -gt 0 ]; do mount --bind "$1" "$2"; shift 2; done
: >"$ready"
exec sleep infinity
"""


@dataclass(frozen=True)
class Infrastructure:
    """The shared parts of a testbed's hosts.

    :ivar broker: starts the testbed's broker unless it runs, and returns it
    """

    layout: Layout
    supervisor: Supervisor
    switch: Switch
    management: Management
    broker: Callable[[], Broker]


class Host:
    """One host of a testbed.

    :ivar name: its name in the testbed
    :ivar hostname: its host name
    :ivar address: its address in the replication network
    :ivar uri: URI of its libvirtd from outside the host; inside it is ``qemu:///system``
    :ivar replication: its link to the other hosts
    :ivar management: its link to the broker
    :ivar guest_network: its link for the guests' traffic
    :ivar agent_conf: the configuration of its agent, unless it is a cloud's host
    :ivar helper_command: starts a process as root for one of nova's
    :ivar emulator: the folder of a program that libvirtd uses in place of QEMU; by default QEMU itself
    :ivar migrates: whether libvirtd listens for other hosts, as live migration requires; not by default
    :ivar state_path: folder of its agent's persistent state, the same from inside and outside
    :ivar nova_path: folder of its nova-compute's persistent state
    :ivar agent_log: log of its agent since the testbed is up
    """

    def __init__(self, name: str, number: int, infrastructure: Infrastructure, namespace: Namespace) -> None:
        self.name = name
        self.hostname = f"compute-{name}"
        self.address = f"10.78.0.{number}"
        self._folder = infrastructure.layout.host(name)
        self._instances = infrastructure.layout.prefix / "instances"
        self.uri = f"qemu+unix:///system?socket={self._folder / 'run' / 'libvirt-sock'}"
        self._number = number
        self._ports = {network: f"{network}-{number}" for network in (GUEST, REPLICATION, MANAGEMENT)}
        self.guest_network = Link(infrastructure.switch, self._ports[GUEST])
        self.replication = Link(infrastructure.switch, self._ports[REPLICATION])
        self.management = Link(infrastructure.switch, self._ports[MANAGEMENT])
        self.state_path = self._folder / "state"
        self.nova_path = self._folder / "nova"
        self.agent_log = self._folder / "log" / "nova-colo-agent.log"
        self.namespace = namespace
        self._infrastructure = infrastructure
        self._switch = infrastructure.switch
        self._supervisor = infrastructure.supervisor
        self._holder = f"host-{name}"
        self._libvirtd = f"libvirtd-{name}"
        self._agent = f"agent-{name}"
        self.agent_conf = self._folder / "etc" / "nova-colo-agent.conf"
        self.helper_command = users.helper_command(self._folder)
        self.emulator: Path | None = None
        self.migrates = False

    @property
    def management_address(self) -> str:
        """Its address in the management network, once the testbed is up."""
        return self._infrastructure.management.address(self._number)

    @property
    def instances(self) -> Path:
        """The folder of the guests' files inside a host: one path, but a separate folder on each host."""
        return self._instances

    def outside(self, path: Path) -> Path:
        """Return the path from outside the host of a file below :attr:`instances`."""
        return self._folder / "instances" / path.relative_to(self._instances)

    def is_on(self) -> bool:
        """Return whether it is powered on."""
        return self._supervisor.is_running(self._holder)

    def power_on(self) -> None:
        """Power it on, unless it is on, with new links, libvirtd, and no guests. Cut links are restored."""
        if self.is_on():
            return
        self.namespace.create()
        self._create_links()
        libvirtd.forget_owners(self._folder / "instances")
        bound = libvirtd.prepare(self._folder, self.address)
        accounts = users.account_files(self._folder)
        self._create_namespaces(bound | accounts)
        self.start_libvirtd()

    def power_cut(self) -> None:
        """Power it off, silently: its processes and /run are lost, its disk remains. Idempotent."""
        # The links first: the kernel closes connections of killed processes; a power cut does not.
        for port in self._ports.values():
            self._switch.unplug(port)
        self.namespace.delete()
        self._supervisor.stop([self._agent, self._libvirtd, self._holder])
        shutil.rmtree(self._folder / "run", ignore_errors=True)

    def freeze(self) -> None:
        """Stop all its processes with SIGSTOP. Connections and carrier remain."""
        self.namespace.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue its processes after freeze()."""
        self.namespace.signal(signal.SIGCONT)

    def start_libvirtd(self) -> None:
        """Start libvirtd, unless it runs, and wait until it answers."""
        # libvirtd finds QEMU by PATH
        path = {"PATH": f"{self.emulator}:{os.environ['PATH']}"} if self.emulator else {}
        command = self.command([*libvirtd.COMMAND, *(libvirtd.LISTEN if self.migrates else ())])
        self._supervisor.start(Service(self._libvirtd, tuple(command), path, host=self.name))
        wait_for(
            f"libvirtd on {self.name}", self._missing_socket, self._supervisor, [self._libvirtd], seconds=60
        )
        self.connect().close()

    def restart_libvirtd(self) -> None:
        """Restart libvirtd gracefully; its guests keep running."""
        self._supervisor.stop([self._libvirtd])
        self.start_libvirtd()

    def freeze_libvirtd(self) -> None:
        """Stop libvirtd's process with SIGSTOP; its guests keep running."""
        self._signal_libvirtd(signal.SIGSTOP)

    def thaw_libvirtd(self) -> None:
        """Continue libvirtd after freeze_libvirtd()."""
        self._signal_libvirtd(signal.SIGCONT)

    def _signal_libvirtd(self, number: signal.Signals) -> None:
        pid = self._supervisor.pid(self._libvirtd)
        if pid is None:
            raise LabError(f"no libvirtd runs on {self.name}")
        os.kill(pid, number)

    def kill_libvirtd(self) -> None:
        """Kill libvirtd with SIGKILL; its guests keep running."""
        self._supervisor.kill([self._libvirtd])

    def start_agent(self, **options: Mapping[str, object]) -> None:
        """Start nova-colo-agent, unless it runs with this configuration, and wait for its first heartbeat.

        :param options: sections that override those of :func:`lab.machines.agent.conf`
        :raises LabError: it has ended, or has not connected to the broker in time
        """
        broker = self._infrastructure.broker()
        conf = self.agent_conf
        if write_private(conf, render(agent.conf(self, broker.transport_url, options))):
            self.stop_agent()  # it has another configuration
        started = time.time()
        users.NOVA.own(conf)
        argv = self.command([services.program("nova-colo-agent"), "--config-file", str(conf)], users.NOVA)
        self._supervisor.start(Service(self._agent, tuple(argv), host=self.name))
        wait_for(
            f"the agent of {self.name}",
            lambda: agent.missing(self, started),
            self._supervisor,
            [self._agent],
            seconds=60,
        )

    def stop_agent(self) -> None:
        """Stop the agent gracefully; the guests keep running."""
        self._supervisor.stop([self._agent])

    def kill_agent(self) -> None:
        """Kill the agent with SIGKILL; the guests keep running."""
        self._supervisor.kill([self._agent])

    def connect(self) -> libvirt.virConnect:
        """Return a new connection to its libvirtd."""
        return libvirt.open(self.uri)

    def command(self, argv: Sequence[str], user: users.User | None = None) -> list[str]:
        """Return the command that runs ``argv`` inside the host, valid until the host is powered off.

        :param user: by default root
        """
        pid = self._supervisor.pid(self._holder)
        if pid is None:
            raise LabError(f"{self.name} is powered off")
        inside = users.command_as(user, argv) if user is not None else argv
        return ["nsenter", f"--target={pid}", "--net", "--mount", "--uts", "--", *inside]

    def run(self, argv: Sequence[str]) -> str:
        """Run a command inside the host. Return its output, or raise LabError with its stderr."""
        result = subprocess.run(
            self.command(argv), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if result.returncode:
            raise LabError(
                f"'{' '.join(argv)}' on {self.name} ended with {result.returncode}: {result.stderr.strip()}"
            )
        return result.stdout

    def reaches(self, other: "Host") -> bool:
        """Return whether another host answers a ping over the replication network."""
        try:
            self.run(["busybox", "ping", "-c", "1", "-W", "1", other.address])
        except LabError:
            return False
        return True

    def create_disks(self, guest: Guest) -> None:
        """Create the guest's folder and its disks, filled with zeros, unless they exist."""
        for path in guest.disk_paths(self._instances):
            disk = self.outside(path)
            disk.parent.mkdir(parents=True, exist_ok=True)
            with disk.open("ab") as handle:
                handle.truncate(guest.disk_bytes)
            users.NOVA.own(disk.parent, disk)

    def start_guest(self, guest: Guest) -> libvirt.virDomain:
        """Create its disks, define it and start it, as Nova would. Return the running domain."""
        self.create_disks(guest)
        domain = self.connect().defineXML(domain_xml(guest, GuestImage.ensure(), self._instances))
        domain.create()
        return domain

    def remove_guest(self, guest: Guest) -> None:
        """Destroy a guest of this host, if it exists, and remove its definition and its files."""
        for domain in self.connect().listAllDomains():
            if domain.name() != guest.name:
                continue
            active = domain.isActive()
            if domain.isPersistent():
                domain.undefine()  # an active domain becomes transient
            if active:
                with contextlib.suppress(libvirt.libvirtError):  # it has ended meanwhile
                    domain.destroy()
        shutil.rmtree(self.outside(self._instances / guest.uuid), ignore_errors=True)

    def console(self, guest: Guest) -> str:
        """Return the output of the guest's serial console on this host."""
        log = self.outside(guest.console_path(self._instances))
        return log.read_text(errors="replace") if log.exists() else ""

    def qemu_pid(self, name: str) -> int | None:
        """Return the pid of a domain's QEMU, or None if none runs here."""
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

    def _create_links(self) -> None:
        add_bridge(self.namespace, BRIDGE)
        self._switch.plug(GUEST, self._ports[GUEST], self.namespace, "uplink")
        self.namespace.ip("link", "set", "uplink", "master", BRIDGE)
        self._switch.plug(REPLICATION, self._ports[REPLICATION], self.namespace, "repl")
        self._keep_mac("repl", 78)
        self.namespace.ip("address", "add", f"{self.address}/24", "dev", "repl")
        # COLO sends small messages one way; without quickack each waits 40 ms for a delayed acknowledgement.
        route = [REPLICATION_NETWORK, "dev", "repl", "proto", "kernel", "scope", "link", "src", self.address]
        self.namespace.ip("route", "change", *route, "quickack", "1")
        self._switch.plug(MANAGEMENT, self._ports[MANAGEMENT], self.namespace, "mgmt")
        self._keep_mac("mgmt", 79)
        self.namespace.ip("address", "add", f"{self.management_address}/24", "dev", "mgmt")

    def _keep_mac(self, device: str, network: int) -> None:
        """Set a constant MAC address.

        With a new one, the host is unreachable for most of a minute after a power cut (arp(7),
        base_reachable_time).
        """
        self.namespace.ip("link", "set", device, "address", f"52:54:00:{network}:00:{self._number:02x}")

    def _create_namespaces(self, bound: dict[Path, Path]) -> None:
        """Create the mount and UTS namespaces, with the bind mounts ``bound``, from source to mount point."""
        hosts = self._folder / "hosts"
        hosts.write_text(f"127.0.0.1 localhost\n{self.address} {self.hostname}\n")
        self._make_folders()
        bound = bound | {hosts: Path("/etc/hosts"), self._folder / "instances": self._instances}
        ready = self._folder / "run" / "ready"
        ready.unlink(missing_ok=True)
        pairs = [str(path) for pair in bound.items() for path in pair]
        unshare = ["ip", "netns", "exec", self.namespace.name, "unshare", "--mount", "--uts"]
        opening = "\n".join(users.open_folders())
        argv = (*unshare, "/bin/sh", "-c", HOLDER, "holder", self.hostname, str(ready), opening, *pairs)
        self._supervisor.start(Service(self._holder, argv, host=self.name))
        missing = f"{ready} does not exist"
        wait_for(
            f"host {self.name}",
            lambda: None if ready.exists() else missing,
            self._supervisor,
            [self._holder],
            seconds=30,
        )

    def _make_folders(self) -> None:
        """Create the folders of nova-compute and the agent, which are nova's, as packages would."""
        state, log = self.state_path, self.agent_log.parent
        own = (self._instances, self._folder / "instances", state, log, self._folder / agent.RUN)
        for folder in own:
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            folder.chmod(0o755)
        for folder in (self._folder.parent, self._folder):
            folder.chmod(0o711)  # entered, not listed
        users.NOVA.own(*own)

    def _missing_socket(self) -> str | None:
        """Return None if libvirtd accepts connections, else raise. It answers once its drivers are ready."""
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self._folder / "run" / "libvirt-sock"))
        return None
