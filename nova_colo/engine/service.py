# SPDX-License-Identifier: Apache-2.0
"""nova-colo-engine as an oslo.service service. Any number may run; the one with the lease is active."""

import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_log import log as logging
from oslo_service import service
from oslo_utils import uuidutils

from nova_colo import rpc
from nova_colo.agent import signing
from nova_colo.db import lease
from nova_colo.engine.context import Context
from nova_colo.engine.housekeeping import Housekeeping
from nova_colo.engine.isolation import isolated
from nova_colo.engine.metrics import MetricsWriter
from nova_colo.engine.reconciler import Reconciler
from nova_colo.engine.reservation_repair import ReservationRepair
from nova_colo.engine.runner import Runner
from nova_colo.engine.server_sync import ServerSync
from nova_colo.engine.strict_build import BuildError, BuildReservation

LOG = logging.getLogger(__name__)

#: Seconds added to the time at which a host becomes silent, so that it is past by then.
MARGIN_S = 0.01
#: The lease is renewed, or watched, at least so many times in its time.
RENEWALS = 3
#: Seconds between two writes of metrics, two collections of checkpoint history, and two purges of old rows.
METRICS_INTERVAL, HISTORY_INTERVAL, PURGE_INTERVAL = 5.0, 30.0, 600.0


class EngineEndpoint:
    """The RPC methods that agents and APIs call."""

    target = messaging.Target(version=rpc.VERSION)

    def __init__(self, context: Context, build_reservation: BuildReservation, notified: threading.Event):
        self._context = context
        self._build_reservation = build_reservation
        self._notified = notified

    def heartbeat(self, ctxt: dict[str, Any], host: str, report: dict[str, Any] | None) -> None:
        """Record a host's heartbeat."""
        self._context.tracker.record_heartbeat(host, report)
        if report is not None and report.get("urgent"):
            self._notified.set()

    def wake(self, ctxt: dict[str, Any]) -> None:
        """Reconcile at once: the database has changed."""
        self._notified.set()

    @messaging.expected_exceptions(BuildError)
    def reserve(self, ctxt: dict[str, Any], server_id: str, host: str) -> str:
        """Reserve capacity for the secondary of a server that is being built, and return its host."""
        return self._build_reservation.reserve(server_id, host)


class EngineService(service.Service):
    """Receives heartbeats always, and acts while it holds the lease."""

    def __init__(self, conf: cfg.ConfigOpts):
        super().__init__()
        self._conf = conf
        self._host = socket.gethostname()
        self._name = f"{self._host}:{os.getpid()}:{uuidutils.generate_uuid()[:8]}"
        self._notified = threading.Event()
        self._sign = signing.sign_by(conf)
        self._stopped = threading.Event()
        self._active = threading.Event()
        self._server: messaging.MessageHandlingServer | None = None
        options = conf.agent
        self._listen_s = max(
            options.heartbeat_interval * options.missed_heartbeats, 2 * options.report_interval
        )

    def start(self) -> None:
        """Connect, start the RPC server and the loops."""
        transport = rpc.transport(self._conf)
        context = Context(self._conf, transport, self._sign)
        # a host that has not had the time to send a heartbeat is not silent
        listens_from = context.clock() + self._listen_s
        endpoint = EngineEndpoint(context, BuildReservation(context, listens_from), self._notified)
        # by the host's name: the broker keeps this queue, which nobody uses, for ever
        self._server = rpc.server(transport, rpc.ENGINE_TOPIC, self._host, endpoint)
        self._server.start()
        self.tg.add_thread(self._loop, context)
        self._start_periodic_tasks(context)
        LOG.info("Engine %s is up.", self._name)

    def _loop(self, context: Context) -> None:
        lease_time = self._conf.engine.lease_time
        candidate = lease.Candidate(context.database, self._name, lease_time, context.clock)
        interval = min(self._conf.agent.heartbeat_interval, lease_time / RENEWALS)
        while not self._stopped.is_set():
            try:
                context.tracker.tick()
                if candidate.acquire(context.tracker.alive_count()):
                    self._act(context, candidate, interval)
            except Exception:
                # the database or the broker is down: nothing may be decided without them
                LOG.exception("The engine failed; it tries again.")
            self._stopped.wait(interval)
        candidate.release()

    def _act(self, context: Context, candidate: lease.Candidate, interval: float) -> None:
        """Act until the lease is lost."""
        LOG.info("Engine %s is active.", self._name)
        runner = Runner(context)
        reconciler = Reconciler(context, runner)
        # also after this engine was stalled or has lost the lease for a while
        listened_at = reconcile_at = context.clock() + self._listen_s
        silenced = False
        self._active.set()
        try:
            while not self._stopped.is_set() and candidate.acquire(context.tracker.alive_count()):
                immediate = silenced
                if self._notified.is_set():
                    self._notified.clear()
                    immediate = True
                immediate |= context.tracker.tick()
                now = context.clock()
                if now >= (listened_at if immediate else reconcile_at):
                    reconcile_at = now + self._conf.agent.report_interval
                    reconciler.reconcile()
                # again: heartbeats are received while the reconciler runs, so its time is no stall
                silenced = context.tracker.tick()
                self._notified.wait(0 if silenced else min(interval, context.tracker.due() + MARGIN_S))
        finally:
            self._active.clear()
            runner.stop()

    def _start_periodic_tasks(self, context: Context) -> None:
        """Start the periodic tasks, each in a thread of its own: a slow Nova must not delay a failover."""
        server_sync, metrics = ServerSync(context), MetricsWriter(context)
        options = self._conf.engine
        self.tg.add_thread(
            self._repeat, options.nova_poll_interval, server_sync.refresh, server_sync.lift_fences
        )
        self.tg.add_thread(self._repeat, METRICS_INTERVAL, metrics.write)
        self.tg.add_thread(self._repeat, HISTORY_INTERVAL, metrics.collect_history)
        self.tg.add_thread(
            self._repeat,
            options.repair_interval,
            ReservationRepair(context).repair,
            context.gate.enable_orphaned,
        )
        self.tg.add_thread(self._repeat, PURGE_INTERVAL, Housekeeping(context).purge)

    def _repeat(self, interval: float, *tasks: Callable[[], None]) -> None:
        """Run tasks every interval seconds while this engine is active."""
        while not self._stopped.is_set():
            if self._active.wait(interval):
                for task in tasks:
                    with isolated(task.__qualname__):
                        task()
            self._stopped.wait(interval)

    def stop(self, graceful: bool = False) -> None:
        """Stop, and release the lease."""
        self._stopped.set()
        self._notified.set()
        if self._server is not None:
            self._server.stop()
            self._server.wait()
        super().stop(graceful)
