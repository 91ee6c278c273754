# SPDX-License-Identifier: Apache-2.0
"""nova-colo-agent as an oslo.service service."""

import threading
import time

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_log import log as logging
from oslo_service import service

from nova_colo import rpc
from nova_colo.agent import health, replication
from nova_colo.agent.manager import AgentManager
from nova_colo.agent.roles import RoleStore

LOG = logging.getLogger(__name__)


class AgentService(service.Service):
    """Answers engines and tells them every heartbeat_interval what runs on this host, and at once when a side was lost."""

    def __init__(self, conf: cfg.ConfigOpts):
        super().__init__()
        self._conf = conf
        self._server: messaging.MessageHandlingServer | None = None
        self._stopped = threading.Event()
        self._changed = threading.Event()

    def start(self) -> None:
        """Connect, serve and begin to send heartbeats."""
        transport = rpc.transport(self._conf)
        backend = replication.load(self._conf)
        backend.watch(self._changed.set)
        manager = AgentManager(self._conf.host, backend, RoleStore(self._conf.state_path))
        engines = rpc.EngineClient(transport)
        self._server = rpc.server(transport, rpc.AGENT_TOPIC, self._conf.host, manager)
        self._server.start()
        self.tg.add_thread(self._keep_telling, engines, manager)
        LOG.info("Agent of host %s is up.", self._conf.host)

    def _keep_telling(self, engines: rpc.EngineClient, manager: AgentManager) -> None:
        urgent = False
        while not self._stopped.is_set():
            self._changed.clear()
            began = time.monotonic()
            self._heartbeat(engines, manager, urgent)
            urgent = self._changed.wait(max(began + self._conf.agent.heartbeat_interval - time.monotonic(), 0))

    def _heartbeat(self, engines: rpc.EngineClient, manager: AgentManager, urgent: bool) -> None:
        try:
            report = manager.report() | {"urgent": urgent}
            health.write(self._conf.state_path, report["reasons"], time.time())
            engines.heartbeat(self._conf.host, report)
        except Exception:
            # the next one is due in a moment; ending the thread would make this host look dead for good
            LOG.exception("A heartbeat could not be sent.")

    def stop(self, graceful: bool = False) -> None:
        """Stop serving."""
        self._stopped.set()
        self._changed.set()
        if self._server is not None:
            self._server.stop()
            self._server.wait()
        super().stop(graceful)
