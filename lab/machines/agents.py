# SPDX-License-Identifier: Apache-2.0
"""The hosts' agents as an engine sees them: their heartbeats, and their answers."""

import collections
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import oslo_messaging as messaging
from oslo_config import cfg

from lab.cloud.config.ini import render
from lab.core.layout import write_private
from lab.core.patience import patient
from lab.core.process import Supervisor
from lab.core.waiting import wait_for
from nova_colo import conf as colo_conf
from nova_colo import rpc

#: Longer than an engine waits by default: guests under QEMU's emulator are slow, and what an agent does is often the test.
ANSWER_SECONDS = patient(60.0)


@dataclass(frozen=True)
class Heartbeat:
    """One heartbeat of an agent.

    :ivar received: when it came, as of time.time()
    :ivar report: what it said, see :meth:`nova_colo.agent.manager.AgentManager.report`
    """

    received: float
    report: dict[str, Any]


class _Engine:
    """The RPC endpoint of an engine that only listens."""

    target = messaging.Target(version=rpc.VERSION)

    def __init__(self) -> None:
        self.last: dict[str, Heartbeat] = {}
        self.heard: dict[str, float] = {}
        self.urgent: collections.Counter[str] = collections.Counter()

    def heartbeat(self, ctxt: dict[str, Any], host: str, report: dict[str, Any] | None) -> None:
        """Take a heartbeat."""
        self.heard[host] = time.time()
        if report is not None:
            self.last[host] = Heartbeat(self.heard[host], report)
            self.urgent[host] += bool(report.get("urgent"))

    def wake(self, ctxt: dict[str, Any]) -> None:
        """Take that something is new in the database, which this engine does not have."""


class Agents:
    """An engine without decisions: whoever has it makes them.

    Hosts are named by their host names here, as engines do. There can be one in a process at a time, since oslo.messaging
    knows only oslo.config's global options.
    """

    def __init__(self, transport_url: str, conf_file: Path, supervisor: Supervisor) -> None:
        write_private(conf_file, render({"DEFAULT": {"transport_url": transport_url}}))
        self._supervisor = supervisor
        self._engine = _Engine()
        self._transport = rpc.transport(colo_conf.load([], [str(conf_file)]))
        self._server = rpc.server(self._transport, rpc.ENGINE_TOPIC, "bed", self._engine)
        self._server.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.stop()
        self._server.wait()
        self._transport.cleanup()
        cfg.CONF.reset()

    def call(self, host: str, method: str, **arguments: Any) -> Any:
        """Ask the agent of a host to do something and return its answer.

        :raises oslo_messaging.MessagingTimeout: when it does not answer in ANSWER_SECONDS
        :raises nova_colo.agent.replication.ReplicationError: when it refuses
        :raises oslo_messaging.RemoteError: when it fails
        """
        return self.client(ANSWER_SECONDS).call(host, method, **arguments)

    def client(self, seconds: float) -> rpc.AgentClient:
        """Return an engine's own client, with another patience than :meth:`call` has."""
        return rpc.AgentClient(self._transport, seconds)

    def last(self, host: str) -> Heartbeat | None:
        """Return the latest heartbeat of a host that said what runs there, None before the first one."""
        return self._engine.last.get(host)

    def urgent(self, host: str) -> int:
        """Return how many heartbeats of a host came before they were due."""
        return self._engine.urgent[host]

    def silence(self, host: str) -> float:
        """Return for how many seconds a host has not been heard; infinite before its first heartbeat."""
        return time.time() - self._engine.heard.get(host, float("-inf"))

    def wait_for_heartbeat(self, host: str, seconds: float = 60.0) -> Heartbeat:
        """Wait for the next heartbeat of a host that says what runs there, and return it. Raises LabError when none comes."""
        begun = time.time()

        def missing() -> str | None:
            heartbeat = self.last(host)
            return None if heartbeat and heartbeat.received > begun else "none has come"

        wait_for(f"a heartbeat of {host}", missing, self._supervisor, seconds=seconds)
        return self._engine.last[host]

    def wait_for_silence(self, host: str, heard_not_for: float = 5.0, seconds: float = 60.0) -> None:
        """Wait until a host has not been heard for some seconds. Raises LabError when it goes on to send heartbeats."""

        def missing() -> str | None:
            silence = self.silence(host)
            return None if silence >= heard_not_for else f"it was heard {silence:.1f} s ago"

        wait_for(f"silence of {host}", missing, self._supervisor, seconds=seconds)
