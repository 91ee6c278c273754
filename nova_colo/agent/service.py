# SPDX-License-Identifier: Apache-2.0
"""The nova-colo-agent service, run by oslo.service."""

import threading
import time

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_log import log as logging
from oslo_service import service

from nova_colo import rpc
from nova_colo.agent import replication, signing
from nova_colo.agent.manager import AgentManager
from nova_colo.hoststate import agent_health
from nova_colo.hoststate.roles import RoleStore

LOG = logging.getLogger(__name__)


class AgentService(service.Service):
    """Serves the engines' RPC calls and sends them heartbeats.

    Reports are sent every report_interval, and at once when a replica is lost.
    """

    def __init__(self, conf: cfg.ConfigOpts):
        super().__init__()
        self._conf = conf
        self._server: messaging.MessageHandlingServer | None = None
        self._keys = signing.engine_keys(conf)
        self._stopped = threading.Event()
        self._changed = threading.Event()

    def start(self) -> None:
        """Connect, serve and begin to send heartbeats."""
        transport = rpc.transport(self._conf)
        backend = replication.load(self._conf)
        backend.watch(self._changed.set)
        manager = AgentManager(self._conf.host, backend, RoleStore(self._conf.state_path))
        engines = rpc.EngineClient(transport)
        endpoint = signing.endpoint(manager, self._conf.host, self._keys)
        self._server = rpc.server(transport, rpc.AGENT_TOPIC, self._conf.host, endpoint)
        self._server.start()
        self.tg.add_thread(self._heartbeat_loop, engines, manager)
        self.tg.add_thread(self._upkeep_loop, manager, backend)
        LOG.info("Agent of host %s is up.", self._conf.host)

    def _heartbeat_loop(self, engines: rpc.EngineClient, manager: AgentManager) -> None:
        options, due_at = self._conf.agent, 0.0
        while not self._stopped.is_set():
            immediate = self._changed.is_set()
            if immediate:
                self._changed.clear()
            began = time.monotonic()
            # a report that is almost due is not delayed to the next heartbeat
            full = immediate or began >= due_at - options.heartbeat_interval / 2
            if not self._heartbeat(engines, manager, full, immediate):
                due_at = 0.0
            elif full:
                due_at = began + options.report_interval
            self._changed.wait(max(began + options.heartbeat_interval - time.monotonic(), 0))

    def _heartbeat(
        self, engines: rpc.EngineClient, manager: AgentManager, full: bool, immediate: bool
    ) -> bool:
        """Send a heartbeat and return whether it was sent.

        :param full: include the report of this host's replicas
        """
        try:
            report = manager.report() | {"urgent": immediate} if full else None
            engines.heartbeat(self._conf.host, report)
        except Exception:
            # the next heartbeat is tried; if this thread ended, this host would count as dead permanently
            LOG.exception("Failed to send a heartbeat.")
            return False
        return True

    def _upkeep_loop(self, manager: AgentManager, backend: replication.Backend) -> None:
        """Do regularly what may have to wait for a disk, or for libvirt, and no heartbeat must wait for."""
        while not self._stopped.wait(self._conf.agent.report_interval):
            try:
                manager.delete_ended()
            except Exception:
                LOG.exception("Failed to delete the state of replicas that have ended.")
            try:
                unmet = [reason.data() for reason in backend.unmet_requirements()]
                agent_health.write(self._conf.state_path, unmet, time.time())
            except Exception:
                LOG.exception("Failed to write the health of this agent.")

    def stop(self, graceful: bool = False) -> None:
        """Stop serving."""
        self._stopped.set()
        self._changed.set()
        if self._server is not None:
            self._server.stop()
            self._server.wait()
        super().stop(graceful)
