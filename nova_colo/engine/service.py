# SPDX-License-Identifier: Apache-2.0
"""nova-colo-engine as an oslo.service service. Any number may run; one holds the lease and acts."""

import os
import socket
import threading
import time
from typing import Any

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_log import log as logging
from oslo_service import service
from oslo_utils import timeutils, uuidutils

from nova_colo import rpc
from nova_colo.db import lease
from nova_colo.engine.inventory import Inventory
from nova_colo.engine.reconciler import Reconciler
from nova_colo.engine.runner import Runner
from nova_colo.engine.services import Services

LOG = logging.getLogger(__name__)


class EngineEndpoint:
    """What agents and APIs can say to the engines."""

    target = messaging.Target(version=rpc.VERSION)

    def __init__(self, services: Services, woken: threading.Event):
        self._services = services
        self._woken = woken

    def heartbeat(self, ctxt: dict[str, Any], host: str, report: dict[str, Any]) -> None:
        """Take a host's heartbeat in."""
        self._services.view.heard(host, report, time.monotonic())

    def wake(self, ctxt: dict[str, Any]) -> None:
        """Look at the database at once."""
        self._woken.set()


class EngineService(service.Service):
    """Listens always; acts while it holds the lease."""

    def __init__(self, conf: cfg.ConfigOpts):
        super().__init__()
        self._conf = conf
        self._name = f"{socket.gethostname()}:{os.getpid()}:{uuidutils.generate_uuid()[:8]}"
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._active = threading.Event()
        self._server: messaging.MessageHandlingServer | None = None

    def start(self) -> None:
        """Connect, listen and begin to look."""
        transport = rpc.transport(self._conf)
        services = Services(self._conf, transport)
        self._server = rpc.server(transport, rpc.ENGINE_TOPIC, self._name, EngineEndpoint(services, self._woken))
        self._server.start()
        self.tg.add_thread(self._loop, services)
        self.tg.add_thread(self._watch_nova, services)
        LOG.info("Engine %s is up.", self._name)

    def _loop(self, services: Services) -> None:
        interval = self._conf.agent.heartbeat_interval
        while not self._stopped.is_set():
            try:
                if self._holds_lease(services):
                    self._act(services, interval)
            except Exception:
                # database or broker are away: nothing may be decided without them, and they come back
                LOG.exception("The engine could not act; it tries again.")
            self._stopped.wait(interval)
        lease.release(services.database, self._name)

    def _holds_lease(self, services: Services) -> bool:
        return lease.acquire(services.database, self._name, timeutils.utcnow(), self._conf.engine.lease_time)

    def _act(self, services: Services, interval: float) -> None:
        """Act until the lease is lost."""
        LOG.info("Engine %s is active.", self._name)
        runner = Runner(services)
        reconciler = Reconciler(services, runner)
        # a host that has not had the time to say anything yet is not silent
        listened_at = time.monotonic() + interval * self._conf.agent.missed_heartbeats
        self._active.set()
        try:
            while not self._stopped.is_set() and self._holds_lease(services):
                self._woken.clear()
                now = time.monotonic()
                services.view.tick(now)
                if now >= listened_at:
                    reconciler.reconcile()
                self._woken.wait(interval)
        finally:
            self._active.clear()
            runner.stop()

    def _watch_nova(self, services: Services) -> None:
        """Look at Nova's servers while active, in a thread of its own: a Nova that is slow or away must not delay a failover."""
        inventory = Inventory(services)
        while not self._stopped.is_set():
            if self._active.wait(self._conf.engine.nova_poll_interval):
                try:
                    inventory.refresh()
                    inventory.lift_fences()
                except Exception:
                    LOG.exception("Nova's servers could not be read; the engine tries again.")
            self._stopped.wait(self._conf.engine.nova_poll_interval)

    def stop(self, graceful: bool = False) -> None:
        """Stop acting and listening, and give the lease up."""
        self._stopped.set()
        self._woken.set()
        if self._server is not None:
            self._server.stop()
            self._server.wait()
        super().stop(graceful)
