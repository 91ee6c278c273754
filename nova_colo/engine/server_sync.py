# SPDX-License-Identifier: Apache-2.0
"""Synchronize the table of pairs with Nova's FT servers."""

import datetime
from typing import Any

from oslo_log import log as logging
from oslo_utils import timeutils

from nova_colo.db import hosts, operations, pairs
from nova_colo.engine.clients.nova import Server
from nova_colo.engine.context import Context
from nova_colo.engine.errors import ServiceError
from nova_colo.engine.isolation import isolated
from nova_colo.pair import reasons
from nova_colo.pair.model import Health, State, actual_mode, secondary_id

LOG = logging.getLogger(__name__)

#: Overlap of two polls for changes: more than clocks differ and transactions take.
OVERLAP = datetime.timedelta(seconds=120)
#: Interval of full syncs, in case a change was missed.
FULL_INTERVAL = datetime.timedelta(seconds=900)


class ServerSync:
    """Polls Nova's servers: all of them at first and periodically, changed ones in between."""

    def __init__(self, context: Context):
        self._context = context
        self._polled_at: datetime.datetime | None = None
        self._full_at: datetime.datetime | None = None
        self._unsynced: set[str] = set()  # ids of servers whose last sync has failed
        self._refused: dict[str, str] = {}  # host -> last logged error

    def refresh(self) -> None:
        """Poll Nova for changes and update the pairs."""
        now = timeutils.utcnow()
        full = self._full_at is None or now - self._full_at > FULL_INTERVAL
        since = (
            None
            if self._polled_at is None or full
            else (self._polled_at - OVERLAP).strftime("%Y-%m-%dT%H:%M:%SZ")
        )
        # before Nova's list is read: a pair that changes meanwhile must not look like a server that was moved
        with self._context.database.reader() as session:
            known = {row.server_id: row for row in pairs.all_pairs(session)}
        servers = {server.id: server for server in self._context.nova.servers(since)}
        for server_id in self._unsynced - servers.keys():
            if (server := self._context.nova.server(server_id)) is not None:
                servers[server_id] = server
        self._unsynced = set(servers)
        for server in servers.values():
            with isolated(f"server {server.id}"):
                self._sync_server(server, known.get(server.id))
                self._unsynced.discard(server.id)
        for row in known.values() if full else ():
            # Nova omits the servers of a cell that is down: check each one
            if row.server_id not in servers and self._context.nova.server(row.server_id) is None:
                self._remove(row)
        self._polled_at = now
        if full:
            self._full_at = now
            LOG.info(
                "Full sync: %d servers listed, %d known pairs.",
                len(servers),
                len(known),
            )

    def lift_fences(self) -> None:
        """Lift forced_down from fenced hosts that are alive again and have cleaned up."""
        with self._context.database.reader() as session:
            fenced = hosts.fenced(session)
            sources = {operation.params.get("source") for operation in operations.running(session)}
        for host in fenced:
            if host in sources or not self._context.alive(host):
                continue
            try:
                self._context.nova.force_down(host, False)
            except ServiceError as error:
                if self._refused.get(host) != str(error):
                    LOG.info("Host %s stays forced down: %s", host, error)
                    self._refused[host] = str(error)
                continue
            self._refused.pop(host, None)
            with self._context.database.writer() as session:
                hosts.fence(session, host, None)
            LOG.info("Host %s is alive; lifted forced_down.", host)

    def _sync_server(self, server: Server, row: pairs.Pair | None) -> None:
        if row is None:
            if server.fault_tolerant and server.host and server.status != "BUILD" and not server.gone:
                self._add(server)
        elif server.gone or not server.fault_tolerant:
            self._remove(row)
        elif row.operation_id is None:
            self._update(row, server)

    def _add(self, server: Server) -> None:
        LOG.info("Add FT server %s on host %s.", server.id, server.host)
        with self._context.database.writer() as session:
            # a host that was away may still have a replica of an earlier pair: it must count as older
            pairs.add(session, **columns(server), epoch=operations.next_epoch(session, server.id))

    def _update(self, row: pairs.Pair, server: Server) -> None:
        values: dict[str, Any] = _flavor_columns(server) | {
            "name": server.name,
            "server_status": server.status,
            "nova_host": server.host or row.nova_host,
        }
        if row.flavor != server.flavor:
            values |= _policy_columns(server)
        moved = values["nova_host"] != row.nova_host
        if moved and row.secondary_host is None and row.nova_host == row.primary_host:
            # an operator has moved a server without a secondary
            values |= {"primary_host": server.host, "primary_since": timeutils.utcnow()}
        if any(getattr(row, name) != value for name, value in values.items()):
            with self._context.database.writer() as session:
                pairs.update_if_unchanged(session, row, **values)

    def _remove(self, row: pairs.Pair) -> None:
        """Delete the pair of a deleted server. Its replicas are orphaned from then on."""
        LOG.info("Server %s was deleted or is no FT server any more: delete its pair.", row.server_id)
        self._context.placement.release(row.secondary_id)
        with self._context.database.writer() as session:
            pairs.remove(session, row.server_id)


def columns(server: Server) -> dict[str, Any]:
    """Return the columns of a new pair."""
    waits = reasons.WAITING()
    return {
        **_flavor_columns(server),
        **_policy_columns(server),
        "server_id": server.id,
        "secondary_id": secondary_id(server.id),
        "name": server.name,
        "project_id": server.project_id,
        "user_id": server.user_id,
        "server_status": server.status,
        "nova_host": server.host,
        "state": State.UNPROTECTED,
        "state_reason": waits,
        "health": Health.WARNING,
        "health_reasons": [waits],
        "primary_host": server.host,
        "primary_since": timeutils.utcnow(),
    }


def _flavor_columns(server: Server) -> dict[str, Any]:
    size = server.size
    return {
        "flavor": server.flavor,
        "vcpus": size.vcpus,
        "memory_mb": size.memory_mb,
        "disk_gb": size.disk_gb,
    }


def _policy_columns(server: Server) -> dict[str, Any]:
    policy = server.policy
    if policy.ignored:
        ignored = ", ".join(policy.ignored)
        LOG.warning("Invalid extra specs of server %s, flavor %s: %s.", server.id, server.flavor, ignored)
    return {
        "mode_policy": policy.mode,
        "mode": actual_mode(policy.mode),
        "checkpoint_interval_ms": policy.interval_ms,
        "auto_reprotect": policy.auto_reprotect,
    }
