# SPDX-License-Identifier: Apache-2.0
"""The engine's side of the agents' RPC: their heartbeats, and calls to them."""

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

#: Longer than an engine's default, since guests under TCG are slow.
CALL_SECONDS = patient(60.0)


@dataclass(frozen=True)
class Heartbeat:
    """One heartbeat of an agent.

    :ivar received: when it was received, as of time.time()
    :ivar report: its report, see :meth:`nova_colo.agent.manager.AgentManager.report`
    """

    received: float
    report: dict[str, Any]


class _Engine:
    """The RPC endpoint of an engine that only records heartbeats."""

    target = messaging.Target(version=rpc.VERSION)

    def __init__(self) -> None:
        self.last: dict[str, Heartbeat] = {}
        self.received: dict[str, float] = {}
        self.immediate: collections.Counter[str] = collections.Counter()

    def heartbeat(self, ctxt: dict[str, Any], host: str, report: dict[str, Any] | None) -> None:
        """Record a heartbeat."""
        self.received[host] = time.time()
        if report is not None:
            self.last[host] = Heartbeat(self.received[host], report)
            self.immediate[host] += bool(report.get("urgent"))

    def wake(self, ctxt: dict[str, Any]) -> None:
        """Ignore a notification of changes in the database: this engine has none."""


class Agents:
    """An engine that takes no decisions; its user does.

    Hosts are named by their host names, as in an engine. A process can have one at a time, since
    oslo.messaging uses the global options of oslo.config.
    """

    def __init__(self, transport_url: str, conf_file: Path, supervisor: Supervisor) -> None:
        write_private(conf_file, render({"DEFAULT": {"transport_url": transport_url}}))
        self._supervisor = supervisor
        self._engine = _Engine()
        self._transport = rpc.transport(colo_conf.load([], [str(conf_file)]))
        self._server = rpc.server(self._transport, rpc.ENGINE_TOPIC, "testbed", self._engine)
        self._server.start()

    def close(self) -> None:
        """Stop the RPC server."""
        self._server.stop()
        self._server.wait()
        self._transport.cleanup()
        cfg.CONF.reset()

    def call(self, host: str, method: str, **arguments: Any) -> Any:
        """Call a method of a host's agent and return its reply.

        :raises oslo_messaging.MessagingTimeout: it did not reply in CALL_SECONDS
        :raises nova_colo.agent.replication.ReplicationError: it refused
        :raises oslo_messaging.RemoteError: it failed
        """
        return self.client(CALL_SECONDS).call(host, method, **arguments)

    def client(self, seconds: float) -> rpc.AgentClient:
        """Return an engine's client with a timeout of ``seconds``."""
        return rpc.AgentClient(self._transport, seconds)

    def last(self, host: str) -> Heartbeat | None:
        """Return the latest heartbeat of a host that had a report, or None before the first one."""
        return self._engine.last.get(host)

    def immediate(self, host: str) -> int:
        """Return the number of immediate heartbeats of a host, sent before they were due."""
        return self._engine.immediate[host]

    def silence(self, host: str) -> float:
        """Return the seconds since the last heartbeat of a host; infinite before the first one."""
        return time.time() - self._engine.received.get(host, float("-inf"))

    def wait_for_heartbeat(self, host: str, seconds: float = 60.0) -> Heartbeat:
        """Return the next heartbeat of a host that has a report. Raise LabError on a timeout."""
        begun = time.time()

        def missing() -> str | None:
            heartbeat = self.last(host)
            return None if heartbeat and heartbeat.received > begun else "none was received"

        wait_for(f"a heartbeat of {host}", missing, self._supervisor, seconds=seconds)
        return self._engine.last[host]

    def wait_for_silence(self, host: str, silent_s: float = 5.0, seconds: float = 60.0) -> None:
        """Wait until a host has sent no heartbeat for some seconds. Raise LabError on a timeout."""

        def missing() -> str | None:
            silence = self.silence(host)
            return None if silence >= silent_s else f"its last heartbeat was {silence:.1f} s ago"

        wait_for(f"silence of {host}", missing, self._supervisor, seconds=seconds)
