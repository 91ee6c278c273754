# SPDX-License-Identifier: Apache-2.0
"""A guest that lives through faults, and a user who counts on it over one connection all the while."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import libvirt_qemu
import oslo_messaging as messaging

from lab.core.patience import patient
from lab.machines import Guest, Host, Testbed
from nova_colo.standalone.pair import PairObservation, StandalonePair
from tests.fixtures.cloud import wait_for

#: Milliseconds until a periodic checkpoint: short, so that there are some in a test.
DELAY_MS = 1000
OPTIONS = {"checkpoint_delay": DELAY_MS, "hybrid_run": 3, "hybrid_wait": 4.0}
#: Seconds that anything may take on a machine without KVM that has other things to do: what a user's connection would wait.
PATIENCE = 120.0


class Life:
    """One guest, its agents, its user. What an engine would decide a test does.

    :param command: what the user asks for: ``d`` has each count written to disk
    :param tls: the folders of certificates, by host name
    :param options: of the agents' section [qemu]
    :param interval: seconds between an answer to the user and the next question
    :ivar hosts: by host name
    """

    def __init__(
        self,
        bed: Testbed,
        guest: Guest,
        command: str = "d",
        tls: Mapping[str, str] | None = None,
        options: Mapping[str, Any] = OPTIONS,
        interval: float = 0.02,
    ):
        self.bed = bed
        self.guest = guest
        self.hosts = {host.hostname: host for host in bed.hosts.values()}
        self._options = options
        bed.broker()

        def start(name: str) -> None:
            self.hosts[name].power_on()  # a test that has failed may have left it without
            self.hosts[name].start_agent(qemu=self._with_certificates(tls[name] if tls else None))

        with ThreadPoolExecutor() as pool:
            list(pool.map(start, self.hosts))
        self.pair = StandalonePair(bed.agents, guest.uuid, guest.name)
        bed.hosts["a"].start_guest(guest)
        bed.client.wait_for_answer(guest.address)
        self._counting = bed.client.count(guest.address, command, interval)
        self._counting.__enter__()
        self._counting.wait_for_more(10)
        self.on = "compute-a"

    def close(self) -> None:
        """End the user and the guest."""
        self._counting.__exit__(None, None, None)
        for name, host in self.hosts.items():
            if host.is_on():
                host.remove_guest(self.guest)
                with contextlib.suppress(messaging.MessagingTimeout):  # the agent was killed
                    self.bed.agents.client(3.0).call(name, "discard", server_id=self.guest.uuid)

    def restart_agent(self, name: str, certificates: str | None) -> None:
        """Let an agent of a host encrypt, with some certificates, or not."""
        self.hosts[name].stop_agent()
        self.hosts[name].start_agent(qemu=self._with_certificates(certificates))

    def _with_certificates(self, folder: str | None) -> dict[str, Any]:
        """Return the options of an agent that encrypts with the certificates in a folder, or not."""
        return {**self._options, **({"tls_x509_cert_dir": folder} if folder else {})}

    def signal_qemu(self, name: str | None, number: signal.Signals) -> None:
        """Send a signal to the guest's QEMU on a host."""
        pid = self.host(name).qemu_pid(self.guest.name)
        assert pid is not None
        os.kill(pid, number)

    # --- what an engine knows

    def replica(self, host: str) -> dict[str, Any] | None:
        """Return what the agent of a host says of its replica."""
        return self.bed.agents.call(host, "status", server_id=self.guest.uuid)

    def standing(self) -> PairObservation:
        """Return where the pair stands, as all hosts know it that answer."""
        answering = []
        for name in self.hosts:
            try:
                self.bed.agents.client(3.0).call(name, "status", server_id=self.guest.uuid)
                answering.append(name)
            except messaging.MessagingTimeout:
                pass
        return self.pair.observe(*answering)

    def epoch(self) -> int:
        """Return the epoch of the host that runs the guest; 0 before the first protection."""
        replica = self.replica(self.on)
        return replica["epoch"] if replica else 0

    # --- what an engine does

    def protect(self, target: str | None = None, **values: Any) -> PairObservation:
        """Make a secondary on another host, unless there is one.

        :param target: by default the first that has no replica
        """
        standing = self.standing()
        if standing.secondary is None:
            others = [name for name in self.hosts if name != self.on]
            target = target or next(name for name in others if self.replica(name) is None)
            list(self.pair.protect(self.on, target, epoch=self.epoch(), timeout=patient(PATIENCE), **values))
            standing = self.pair.observe(self.on, target)
        assert standing.primary == self.on, standing
        for name in (standing.primary, standing.secondary):
            self.wait(f"{name} sees the link", lambda name=name: self.replica(name)["link_up"])
        return standing

    def demote(self, standing: PairObservation) -> bool:
        """Tell the primary that its twin is about to run; gives whether it stands still."""
        told = {"server_id": self.guest.uuid, "epoch": standing.epoch + 1, "expected": standing.epoch}
        return self.bed.agents.call(standing.primary or "", "demote", **told)

    def take_over(self, standing: PairObservation, *, stopped: bool = False) -> float | None:
        """Grant the secondary to run alone.

        :param stopped: the primary stands still
        """
        gap_ms = self.pair.take_over(standing, stopped=stopped)
        self.on = standing.secondary or ""
        return gap_ms

    def discard(self, name: str) -> None:
        """End what a host has of the pair."""
        self.bed.agents.call(name, "discard", server_id=self.guest.uuid)

    # --- what a test waits for

    def wait(self, what: str, look: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Wait until something is true, and return it."""
        return wait_for(what, seconds, look)

    def wait_for_loss(self, name: str) -> dict[str, Any]:
        """Wait until a host has noticed that its replica has lost its twin."""
        return self.wait(
            f"{name} has lost its twin",
            lambda: (replica := self.replica(name)) and replica["link_up"] is False and replica,
        )

    def answers(self, seconds: float) -> int:
        """Return how many answers the user gets within some seconds."""
        before = self._counting.stats().answers
        time.sleep(seconds)
        return self._counting.stats().answers - before

    def gap_s(self, since: float) -> float:
        """Return the longest time in seconds that the user has waited for an answer since a time of time.time()."""
        return self._counting.stats(since).max_gap_s

    def goes_on(self) -> None:
        """Assert that the user has noticed nothing but a pause, and that memory and disk are whole."""
        self._counting.wait_for_more(10, seconds=PATIENCE)
        seen = self._counting.stats()
        assert (seen.error, seen.contiguous) == (None, True), seen
        said = self.bed.client.ask(self.guest.address, "v")
        assert said.startswith("ok"), said

    def left(self) -> dict[str, list[str]]:
        """Return what there is of a pair besides the guest: in its QEMU, and on the hosts. Nothing, of a guest without one."""
        connection = self.host(self.on).connect()
        domain = connection.lookupByUUIDString(self.guest.uuid)

        def ask(command: str, **arguments: str) -> list[dict[str, Any]]:
            request = json.dumps({"execute": command, "arguments": arguments})
            return json.loads(libvirt_qemu.qemuMonitorCommand(domain, request, 0))["return"]

        named = {
            "nodes": [node["node-name"] for node in ask("query-named-block-nodes")],
            "chardevs": [chardev["label"] for chardev in ask("query-chardev")],
            "objects": [entry["name"] for entry in ask("qom-list", path="/objects")],
            "jobs": [job["device"] for job in ask("query-block-jobs")],
        }
        found = {what: [name for name in names if name.startswith("colo-")] for what, names in named.items()}
        switched_on = [one["capability"] for one in ask("query-migrate-capabilities") if one["state"]]
        found["capabilities"] = [name for name in switched_on if name == "x-colo"]
        for name, host in self.hosts.items():
            pid = host.qemu_pid(self.guest.name)
            found[f"ports on {name}"] = listening(host, pid) if pid else []
            found[f"sockets on {name}"] = host.run(["find", "/run", "-path", f"*{self.guest.uuid}/*"]).split()
            found[f"records on {name}"] = [
                path.name for path in host.state_path.rglob(f"*{self.guest.uuid}*")
            ]
            if name != self.on:
                folder = host.instances / self.guest.uuid
                wanted = ["find", str(folder.parent), "-path", f"{folder}/*"]
                found[f"files on {name}"] = host.run(wanted).split()
        found["QEMUs"] = [name for name in self.runs_on() if name != self.on]
        return {what: names for what, names in found.items() if names}

    def runs_on(self) -> list[str]:
        """Return the hosts that have a QEMU of the guest."""
        return [name for name, host in self.hosts.items() if host.is_on() and host.qemu_pid(self.guest.name)]

    def host(self, name: str | None) -> Host:
        """Return a host by its host name."""
        assert name is not None
        return self.hosts[name]


def listening(host: Host, pid: int | None = None) -> list[str]:
    """Return the TCP sockets that a host listens on in the replication network.

    :param pid: only those of this process
    """
    lines = host.run(["ss", "-Hltnp", "src", host.address]).splitlines()
    return [line.split()[3] for line in lines if pid is None or f"pid={pid}," in line]
