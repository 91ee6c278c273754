# SPDX-License-Identifier: Apache-2.0
"""Network namespaces as machines, a namespace with bridges as the switch between them, and what can go wrong with a cable."""

import contextlib
import hashlib
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
    """Return what the names of all namespaces of a lab, or of a bed, begin with: there is no room for a path in them."""
    return "colo-" + hashlib.sha256(str(prefix).encode()).hexdigest()[:8]


class Namespace:
    """One network namespace, and the processes in it."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def path(self) -> Path:
        """What nsenter's --net wants."""
        return NAMESPACES / self.name

    def exists(self) -> bool:
        """Tell whether it is there."""
        return self.path.exists()

    def create(self) -> None:
        """Make it, with its loopback up."""
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *argv: str) -> str:
        """Run ``ip`` on its devices."""
        return run("ip", "-n", self.name, *argv)

    def tc(self, *argv: str) -> str:
        """Run ``tc`` on its devices."""
        return run("tc", "-n", self.name, *argv)

    def pids(self) -> list[int]:
        """Return who runs in it; a zombie does not."""
        return [int(line) for line in run("ip", "netns", "pids", self.name).split()] if self.exists() else []

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process in it."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def delete(self) -> None:
        """Kill whatever runs in it with SIGKILL, and remove it with all its devices."""
        if not self.exists():
            return
        give_up = time.monotonic() + KILL_SECONDS
        left: set[int] = set()
        # One that is ending is not in it any more, but may still have to wait for a disk.
        while left := {pid for pid in left | set(self.pids()) if ProcessStat.of(pid)}:
            if time.monotonic() > give_up:
                raise LabError(f"processes in the network namespace {self.name} do not end: {sorted(left)}")
            self.signal(signal.SIGKILL)
            time.sleep(POLL_SECONDS)
        run("ip", "netns", "delete", self.name)


class Switch:
    """The bridges that join the machines, one per network, and the ports of the machines in them."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace

    def create(self) -> None:
        """Make it, with a bridge for each network and no ports."""
        self.namespace.create()
        for network in (GUEST, REPLICATION, MANAGEMENT):
            add_bridge(self.namespace, network)

    def plug(self, network: str, port: str, machine: Namespace, device: str) -> None:
        """Lay a cable between a new ``port`` in the bridge of ``network`` and a new ``device`` of a machine."""
        self.lay_cable(network, port, machine.name, device)
        machine.ip("link", "set", device, "up")

    def lay_cable(self, network: str, port: str, machine: str, device: str) -> None:
        """Do the same to a machine that is named as ``ip link``'s netns wants it: a name or a process; its end stays down."""
        switch = self.namespace.name
        run(
            "ip",
            "link",
            "add",
            port,
            "netns",
            switch,
            "type",
            "veth",
            "peer",
            "name",
            device,
            "netns",
            machine,
        )
        self.namespace.ip("link", "set", port, "master", network, "up")

    def unplug(self, port: str) -> None:
        """Take a cable away, if it is there; both ends of it are gone."""
        if self.has(port):
            self.namespace.ip("link", "delete", port)

    def has(self, port: str) -> bool:
        """Tell whether there is such a port."""
        return self.namespace.exists() and f" {port}@" in self.namespace.ip(
            "-o", "link", "show", "type", "veth"
        )


class Link:
    """The cable of one host to one network. A fault is silent: frames vanish in the switch, both ends still see a carrier."""

    def __init__(self, switch: Switch, port: str) -> None:
        self._switch = switch.namespace
        self._port = port

    def cut(self) -> None:
        """Lose every frame, from and to the host."""
        self.cut_incoming()
        self.cut_outgoing()

    def cut_incoming(self) -> None:
        """Lose every frame to the host: it is heard, but deaf."""
        self._switch.tc("qdisc", "replace", "dev", self._port, "root", "pfifo", "limit", "0")

    def cut_outgoing(self) -> None:
        """Lose every frame from the host: it hears, but is mute."""
        # A locked port takes only frames from addresses that the bridge knows to be there, and it knows none any more
        # (net/bridge/br_input.c:br_handle_frame_finish). A queue without room at the host's own end would not be silent.
        self._switch.ip("link", "set", self._port, "type", "bridge_slave", "locked", "on", "fdb_flush")

    def tcpdump(self, *expression: str) -> list[str]:
        """Return the command that prints each frame that the host sends, before any cut, with the time and its addresses.

        :param expression: which ones
        """
        inside = ["nsenter", f"--net={self._switch.path}", "--"]
        return [*inside, "tcpdump", "-i", self._port, "-Q", "in", "-nn", "-e", "-tt", "-l", *expression]

    def restore(self) -> None:
        """Carry frames both ways again."""
        if " pfifo " in self._switch.tc("qdisc", "show", "dev", self._port):
            self._switch.tc("qdisc", "delete", "dev", self._port, "root")
        self._switch.ip("link", "set", self._port, "type", "bridge_slave", "locked", "off")


def add_bridge(namespace: Namespace, name: str) -> None:
    """Make a bridge that forwards from the first moment and takes no notice of what it carries."""
    namespace.ip("link", "add", "name", name, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
    namespace.ip("link", "set", name, "up")
