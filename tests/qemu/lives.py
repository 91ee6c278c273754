# SPDX-License-Identifier: Apache-2.0
"""A guest that fails over again and again, and a client that uses it over one connection."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import libvirt_qemu
import oslo_messaging as messaging

from lab.core.patience import patient
from lab.machines import Guest, Host, Testbed, users
from nova_colo.standalone.pair import PairObservation, StandalonePair
from tests.fixtures.cloud import wait_for

#: Milliseconds until a periodic checkpoint: short, so that a test sees several.
DELAY_MS = 1000
OPTIONS = {"checkpoint_delay": DELAY_MS, "hybrid_run": 3, "hybrid_wait": 4.0}
#: Timeout in seconds on a machine without KVM that is busy: as long as a client's connection would wait.
PATIENCE = 120.0


class Life:
    """A guest with its agents and its client. A test takes the engine's decisions.

    :param command: the client's request: with ``d`` each count is written to disk
    :param tls: folders of certificates by host name
    :param options: of the agents' section [qemu]
    :param interval: seconds between a reply and the client's next request
    :ivar hosts: by host name
    """

    def __init__(
        self,
        testbed: Testbed,
        guest: Guest,
        command: str = "d",
        tls: Mapping[str, str] | None = None,
        options: Mapping[str, Any] = OPTIONS,
        interval: float = 0.02,
    ):
        self.testbed = testbed
        self.guest = guest
        self.hosts = {host.hostname: host for host in testbed.hosts.values()}
        self._options = options
        testbed.broker()

        def start(name: str) -> None:
            self.hosts[name].power_on()  # a failed test may have left it off
            self.hosts[name].start_agent(qemu=self._with_certificates(tls[name] if tls else None))

        with ThreadPoolExecutor() as pool:
            list(pool.map(start, self.hosts))
        self.pair = StandalonePair(testbed.agents, guest.uuid, guest.name)
        testbed.hosts["a"].start_guest(guest)
        testbed.client.wait_for_answer(guest.address)
        self._counting = testbed.client.count(guest.address, command, interval)
        self._counting.__enter__()
        self._counting.wait_for_more(10)
        self.on = "compute-a"

    def close(self) -> None:
        """End the client and the guest."""
        self._counting.__exit__(None, None, None)
        for name, host in self.hosts.items():
            if host.is_on():
                host.remove_guest(self.guest)
                with contextlib.suppress(messaging.MessagingTimeout):  # the agent was killed
                    self.testbed.agents.client(3.0).call(name, "discard", server_id=self.guest.uuid)

    def restart_agent(self, name: str, certificates: str | None) -> None:
        """Restart a host's agent, with TLS if a folder of certificates is given."""
        self.hosts[name].stop_agent()
        self.hosts[name].start_agent(qemu=self._with_certificates(certificates))

    def _with_certificates(self, folder: str | None) -> dict[str, Any]:
        """Return an agent's options, with TLS if a folder of certificates is given."""
        return {**self._options, **({"tls_x509_cert_dir": folder} if folder else {})}

    def signal_qemu(self, name: str | None, number: signal.Signals) -> None:
        """Send a signal to the guest's QEMU on a host."""
        pid = self.host(name).qemu_pid(self.guest.name)
        assert pid is not None
        os.kill(pid, number)

    # --- what an engine observes

    def replica(self, host: str) -> dict[str, Any] | None:
        """Return the report of a host's agent about its replica."""
        return self.testbed.agents.call(host, "status", server_id=self.guest.uuid)

    def observe(self) -> PairObservation:
        """Return the observation of the pair, from all hosts that answer."""
        answering = []
        for name in self.hosts:
            try:
                self.testbed.agents.client(3.0).call(name, "status", server_id=self.guest.uuid)
                answering.append(name)
            except messaging.MessagingTimeout:
                pass
        return self.pair.observe(*answering)

    def epoch(self) -> int:
        """Return the epoch of the host that runs the guest; 0 before the first protection."""
        replica = self.replica(self.on)
        return replica["epoch"] if replica else 0

    # --- what an engine requests

    def protect(self, target: str | None = None, **values: Any) -> PairObservation:
        """Create a secondary on another host, unless there is one.

        :param target: by default the first host without a replica
        """
        observation = self.observe()
        if observation.secondary is None:
            others = [name for name in self.hosts if name != self.on]
            target = target or next(name for name in others if self.replica(name) is None)
            list(self.pair.protect(self.on, target, epoch=self.epoch(), timeout=patient(PATIENCE), **values))
            observation = self.pair.observe(self.on, target)
        assert observation.primary == self.on, observation
        for name in (observation.primary, observation.secondary):
            self.wait(f"{name} sees the link", lambda name=name: self.replica(name)["link_up"])
        return observation

    def demote(self, observation: PairObservation) -> bool:
        """Demote the primary before its secondary is promoted, and return whether it is paused."""
        request = {
            "server_id": self.guest.uuid,
            "epoch": observation.epoch + 1,
            "expected": observation.epoch,
        }
        return self.testbed.agents.call(observation.primary or "", "demote", **request)

    def take_over(self, observation: PairObservation, *, stopped: bool = False) -> float | None:
        """Grant the secondary the next epoch and promote it.

        :param stopped: whether the primary is paused
        """
        gap_ms = self.pair.take_over(observation, stopped=stopped)
        self.on = observation.secondary or ""
        return gap_ms

    def fail_over_to(self, name: str) -> None:
        """Fail over to a host, and wait until the disk there is complete."""
        self.pair.fail_over(self.protect(target=name))
        self.on = name
        self.wait("the disk is complete", lambda: not self.replica(name)["committing"])

    def discard(self, name: str) -> None:
        """Destroy a host's replica and delete its state."""
        self.testbed.agents.call(name, "discard", server_id=self.guest.uuid)

    # --- polling and assertions

    def wait(self, what: str, look: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Poll until a condition holds, and return its value."""
        return wait_for(what, seconds, look)

    def wait_for_loss(self, name: str) -> dict[str, Any]:
        """Wait until a host reports that its replica has lost its peer."""
        return self.wait(
            f"{name} has lost its peer",
            lambda: (replica := self.replica(name)) and replica["link_up"] is False and replica,
        )

    def answers(self, seconds: float) -> int:
        """Return the number of replies to the client within a time."""
        before = self._counting.stats().answers
        time.sleep(seconds)
        return self._counting.stats().answers - before

    def gap_s(self, since: float) -> float:
        """Return the longest time in seconds between two replies since a time.time()."""
        return self._counting.stats(since).max_gap_s

    def goes_on(self) -> None:
        """Assert that the client saw at most a pause, and that memory and disk are intact."""
        self._counting.wait_for_more(10, seconds=PATIENCE)
        stats = self._counting.stats()
        assert (stats.error, stats.contiguous) == (None, True), stats
        reply = self.testbed.client.ask(self.guest.address, "v")
        assert reply.startswith("ok"), reply

    def left(self) -> dict[str, list[str]]:
        """Return all objects of a pair, in the guest's QEMU and on the hosts; empty without a pair."""
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
        leftover = {
            what: [name for name in names if name.startswith("colo-")] for what, names in named.items()
        }
        enabled = [one["capability"] for one in ask("query-migrate-capabilities") if one["state"]]
        leftover["capabilities"] = [name for name in enabled if name == "x-colo"]
        for name, host in self.hosts.items():
            pid = host.qemu_pid(self.guest.name)
            leftover[f"ports on {name}"] = listening(host, pid) if pid else []
            leftover[f"sockets on {name}"] = host.run(
                ["find", "/run", "-path", f"*{self.guest.uuid}/*"]
            ).split()
            leftover[f"records on {name}"] = [
                path.name for path in host.state_path.rglob(f"*{self.guest.uuid}*")
            ]
            if name != self.on:
                folder = host.instances / self.guest.uuid
                wanted = ["find", str(folder.parent), "-path", f"{folder}/*"]
                leftover[f"files on {name}"] = host.run(wanted).split()
        leftover["QEMUs"] = [name for name in self.runs_on() if name != self.on]
        return {what: names for what, names in leftover.items() if names}

    def runs_on(self) -> list[str]:
        """Return the hosts that have a QEMU of the guest."""
        return [name for name, host in self.hosts.items() if host.is_on() and host.qemu_pid(self.guest.name)]

    def host(self, name: str | None) -> Host:
        """Return a host by its host name."""
        assert name is not None
        return self.hosts[name]


def listening(host: Host, pid: int | None = None) -> list[str]:
    """Return the TCP sockets on which a host listens in the replication network.

    :param pid: only those of this process
    """
    lines = host.run(["ss", "-Hltnp", "src", host.address]).splitlines()
    return [line.split()[3] for line in lines if pid is None or f"pid={pid}," in line]


@contextlib.contextmanager
def small_file_system(life: Life, name: str, size: str) -> Iterator[str]:
    """Give a host's folder of the guest a file system of its own, which is nova's as the folder is."""
    host, owner = life.host(name), users.NOVA.number
    folder = str(host.instances / life.guest.uuid)
    host.run(["install", "--directory", f"--owner={owner}", f"--group={owner}", folder])
    options = f"size={size},uid={owner},gid={owner},mode=755"
    host.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder])
    try:
        yield folder
    finally:
        host.run(["umount", "--lazy", folder])
