# SPDX-License-Identifier: Apache-2.0
"""Network namespaces as machines, a namespace with bridges as their switch, and faults of links."""

import contextlib
import hashlib
import json
import os
import signal
import time
from pathlib import Path

from lab.core.command import run
from lab.core.errors import LabError
from lab.core.identity import ProcessStat
from lab.core.patience import patient

NAMESPACES = Path("/run/netns")
KILL_SECONDS = patient(20.0)
POLL_SECONDS = 0.02

GUEST = "guest"
REPLICATION = "repl"
MANAGEMENT = "mgmt"


def mark(prefix: Path) -> str:
    """Return the prefix of the names of a lab's or testbed's namespaces: a hash, since names are short."""
    return "colo-" + hashlib.sha256(str(prefix).encode()).hexdigest()[:8]


class Namespace:
    """One network namespace, and the processes in it."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def path(self) -> Path:
        """Its path, for ``nsenter --net``."""
        return NAMESPACES / self.name

    def exists(self) -> bool:
        """Return whether it exists."""
        return self.path.exists()

    def create(self) -> None:
        """Create it, with its loopback up."""
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *argv: str) -> str:
        """Run ``ip`` on its devices."""
        return run("ip", "-n", self.name, *argv)

    def tc(self, *argv: str) -> str:
        """Run ``tc`` on its devices."""
        return run("tc", "-n", self.name, *argv)

    def pids(self) -> list[int]:
        """Return the pids of its processes, without zombies."""
        return [int(line) for line in run("ip", "netns", "pids", self.name).split()] if self.exists() else []

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process in it."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def delete(self) -> None:
        """Kill its processes with SIGKILL, and remove it with all its devices."""
        if not self.exists():
            return
        deadline = time.monotonic() + KILL_SECONDS
        left: set[int] = set()
        # An exiting process is no longer listed in it, but may still wait for a disk.
        while left := {pid for pid in left | set(self.pids()) if ProcessStat.of(pid)}:
            if time.monotonic() > deadline:
                raise LabError(f"processes in the network namespace {self.name} do not end: {sorted(left)}")
            self.signal(signal.SIGKILL)
            time.sleep(POLL_SECONDS)
        run("ip", "netns", "delete", self.name)


class Switch:
    """The bridges between the machines, one per network, and the machines' ports."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace

    def create(self) -> None:
        """Create it, with a bridge for each network and no ports."""
        self.namespace.create()
        for network in (GUEST, REPLICATION, MANAGEMENT):
            add_bridge(self.namespace, network)

    def plug(self, network: str, port: str, machine: Namespace, device: str) -> None:
        """Link a new ``port`` in the bridge of ``network`` to a new ``device`` of a machine; set both up."""
        self.add_link(network, port, machine.name, device)
        machine.ip("link", "set", device, "up")

    def add_link(self, network: str, port: str, machine: str, device: str) -> None:
        """Link a new ``port`` to a new ``device``, which stays down.

        :param machine: network namespace for ``ip link``: a name or a pid
        """
        switch = self.namespace.name
        peer = ("peer", "name", device, "netns", machine)
        run("ip", "link", "add", port, "netns", switch, "type", "veth", *peer)
        self.namespace.ip("link", "set", port, "master", network, "up")

    def unplug(self, port: str) -> None:
        """Remove a link with both its ends, if it exists."""
        if self.has(port):
            self.namespace.ip("link", "delete", port)

    def has(self, port: str) -> bool:
        """Return whether there is such a port."""
        return self.namespace.exists() and f" {port}@" in self.namespace.ip(
            "-o", "link", "show", "type", "veth"
        )

    def port_of(self, mac: str) -> str | None:
        """Return the port behind which a MAC address was seen last, or None."""
        entries = json.loads(run("bridge", "-netns", self.namespace.name, "-json", "fdb", "show", "dynamic"))
        return next((entry["ifname"] for entry in entries if entry["mac"] == mac), None)


class Link:
    """The link of one host to one network. Faults are silent: frames are dropped, but the carrier remains."""

    def __init__(self, switch: Switch, port: str) -> None:
        self._switch = switch.namespace
        self._port = port

    def cut(self) -> None:
        """Drop all frames, from and to the host."""
        self.cut_incoming()
        self.cut_outgoing()

    def cut_incoming(self) -> None:
        """Drop all frames to the host; its own frames still pass."""
        self._switch.tc("qdisc", "replace", "dev", self._port, "root", "pfifo", "limit", "0")

    def cut_outgoing(self) -> None:
        """Drop all frames from the host; frames to it still pass."""
        # A locked port accepts frames only from known addresses, and flushing leaves none
        # (net/bridge/br_input.c:br_handle_frame_finish). A queue of length 0 at the host's own end would not
        # be silent.
        self._switch.ip("link", "set", self._port, "type", "bridge_slave", "locked", "on", "fdb_flush")

    def tcpdump(self, *expression: str) -> list[str]:
        """Return the command that prints frames sent by the host, also while cut, with time and addresses.

        :param expression: filter of frames
        """
        inside = ["nsenter", f"--net={self._switch.path}", "--"]
        return [*inside, "tcpdump", "-i", self._port, "-Q", "in", "-nn", "-e", "-tt", "-l", *expression]

    def restore(self) -> None:
        """Forward frames both ways again."""
        if " pfifo " in self._switch.tc("qdisc", "show", "dev", self._port):
            self._switch.tc("qdisc", "delete", "dev", self._port, "root")
        self._switch.ip("link", "set", self._port, "type", "bridge_slave", "locked", "off")


def add_bridge(namespace: Namespace, name: str) -> None:
    """Create a bridge that forwards at once and does no multicast snooping."""
    namespace.ip("link", "add", "name", name, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
    namespace.ip("link", "set", name, "up")
