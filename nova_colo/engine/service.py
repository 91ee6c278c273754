# SPDX-License-Identifier: Apache-2.0
"""nova-colo-engine as an oslo.service service. Any number may run; one holds the lease and acts."""

import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_log import log as logging
from oslo_service import service
from oslo_utils import timeutils, uuidutils

from nova_colo import rpc
from nova_colo.db import lease
from nova_colo.engine.context import Services
from nova_colo.engine.housekeeping import Housekeeping
from nova_colo.engine.isolation import isolated
from nova_colo.engine.metrics import Figures
from nova_colo.engine.reconciler import Reconciler
from nova_colo.engine.reservation_repair import Reservations
from nova_colo.engine.runner import Runner
from nova_colo.engine.server_sync import Inventory
from nova_colo.engine.strict_build import BuildError, Building

LOG = logging.getLogger(__name__)

#: Seconds after which a host that was to be heard of until now is silent for certain.
MOMENT = 0.01
#: Seconds between two writes of the hosts' and pairs' figures, looks at the agents' history, and deletions of what is old.
FIGURES_INTERVAL, HISTORY_INTERVAL, TIDY_INTERVAL = 5.0, 30.0, 600.0


class EngineEndpoint:
    """What agents and APIs can say to the engines."""

    target = messaging.Target(version=rpc.VERSION)

    def __init__(self, services: Services, building: Building, woken: threading.Event):
        self._services = services
        self._building = building
        self._woken = woken

    def heartbeat(self, ctxt: dict[str, Any], host: str, report: dict[str, Any] | None) -> None:
        """Take a host's heartbeat in."""
        self._services.view.heard(host, report, time.monotonic())
        if report is not None and report.get("urgent"):
            self._woken.set()

    def wake(self, ctxt: dict[str, Any]) -> None:
        """Look at the database at once."""
        self._woken.set()

    @messaging.expected_exceptions(BuildError)
    def reserve(self, ctxt: dict[str, Any], server_id: str, host: str) -> str:
        """Reserve room for the secondary of a server that is being built; returns its host."""
        return self._building.reserve(server_id, host)


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
        options = conf.agent
        self._listen_s = max(
            options.heartbeat_interval * options.missed_heartbeats, 2 * options.report_interval
        )

    def start(self) -> None:
        """Connect, listen and begin to look."""
        transport = rpc.transport(self._conf)
        services = Services(self._conf, transport)
        # a host that has not had the time to say anything yet is not silent
        listens_from = time.monotonic() + self._listen_s
        endpoint = EngineEndpoint(services, Building(services, listens_from), self._woken)
        self._server = rpc.server(transport, rpc.ENGINE_TOPIC, self._name, endpoint)
        self._server.start()
        self.tg.add_thread(self._loop, services)
        self._start_rounds(services)
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
        # also after this engine was stalled, or has lost the lease for a while
        listened_at = look_at = time.monotonic() + self._listen_s
        silenced = False
        self._active.set()
        try:
            while not self._stopped.is_set() and self._holds_lease(services):
                urgent = silenced
                if self._woken.is_set():
                    self._woken.clear()
                    urgent = True
                now = time.monotonic()
                urgent |= services.view.tick(now)
                if now >= (listened_at if urgent else look_at):
                    look_at = now + self._conf.agent.report_interval
                    reconciler.reconcile()
                # once more: what a look takes is not time for which nobody has listened
                now = time.monotonic()
                silenced = services.view.tick(now)
                self._woken.wait(0 if silenced else min(interval, services.view.due(now) + MOMENT))
        finally:
            self._active.clear()
            runner.stop()

    def _start_rounds(self, services: Services) -> None:
        """Begin what is done now and then while active, each in a thread of its own: a slow Nova must not delay a failover."""
        inventory, figures = Inventory(services), Figures(services)
        options = self._conf.engine
        self.tg.add_thread(self._repeat, options.nova_poll_interval, inventory.refresh, inventory.lift_fences)
        self.tg.add_thread(self._repeat, FIGURES_INTERVAL, figures.write)
        self.tg.add_thread(self._repeat, HISTORY_INTERVAL, figures.collect_history)
        self.tg.add_thread(
            self._repeat,
            options.repair_interval,
            Reservations(services).repair,
            services.gate.enable_forgotten,
        )
        self.tg.add_thread(self._repeat, TIDY_INTERVAL, Housekeeping(services).tidy)

    def _repeat(self, interval: float, *tasks: Callable[[], None]) -> None:
        """Do some tasks every interval seconds while this engine is active."""
        while not self._stopped.is_set():
            if self._active.wait(interval):
                for task in tasks:
                    with isolated(task.__qualname__):
                        task()
            self._stopped.wait(interval)

    def stop(self, graceful: bool = False) -> None:
        """Stop acting and listening, and give the lease up."""
        self._stopped.set()
        self._woken.set()
        if self._server is not None:
            self._server.stop()
            self._server.wait()
        super().stop(graceful)
