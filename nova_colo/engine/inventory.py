# SPDX-License-Identifier: Apache-2.0
"""Keeps the table of pairs in step with Nova's FT servers."""

import datetime

from oslo_log import log as logging
from oslo_utils import timeutils

from nova_colo.db import pairs
from nova_colo.engine.nova import Server
from nova_colo.engine.services import Services
from nova_colo.pair.model import Health, State, twin_id

LOG = logging.getLogger(__name__)

#: How far back a look at changes reaches before the last one: more than clocks differ and transactions take.
OVERLAP = datetime.timedelta(seconds=120)
#: Everything is read again after so long, in case a change was missed.
FULL_INTERVAL = datetime.timedelta(seconds=900)


class Inventory:
    """Looks at Nova's servers: all of them at first and now and then, changed ones in between."""

    def __init__(self, services: Services):
        self._services = services
        self._looked_at: datetime.datetime | None = None
        self._full_at: datetime.datetime | None = None

    def refresh(self) -> None:
        """Take in what has changed at Nova."""
        now = timeutils.utcnow()
        full = self._full_at is None or now - self._full_at > FULL_INTERVAL
        since = None if full or self._looked_at is None else (self._looked_at - OVERLAP).strftime("%Y-%m-%dT%H:%M:%SZ")
        servers = {server.id: server for server in self._services.nova.servers(since) if server.fault_tolerant}
        with self._services.database.reader() as session:
            known = {row.server_id: row for row in pairs.all_pairs(session)}
        for server in servers.values():
            row = known.get(server.id)
            if server.gone:
                if row is not None:
                    self._remove(row)
            elif row is not None:
                self._update(row, server)
            elif server.host and server.status != "BUILD":
                self._add(server)
        for row in known.values() if full else ():
            if row.server_id not in servers:
                self._remove(row)
        self._looked_at = now
        if full:
            self._full_at = now

    def _add(self, server: Server) -> None:
        LOG.info("Server %s on %s is an FT server.", server.id, server.host)
        with self._services.database.writer() as session:
            pairs.add(
                session,
                server_id=server.id,
                twin_id=twin_id(server.id),
                name=server.name,
                project_id=server.project_id,
                user_id=server.user_id,
                flavor=server.flavor,
                vcpus=server.size.vcpus,
                memory_mb=server.size.memory_mb,
                disk_gb=server.size.disk_gb,
                server_status=server.status,
                nova_host=server.host,
                state=State.UNPROTECTED,
                state_reason="The server waits for its secondary.",
                health=Health.WARNING,
                health_reasons=["The server waits for its secondary."],
                primary_host=server.host,
                primary_since=timeutils.utcnow(),
            )

    def _update(self, row: pairs.Pair, server: Server) -> None:
        values = {
            "name": server.name,
            "flavor": server.flavor,
            "vcpus": server.size.vcpus,
            "memory_mb": server.size.memory_mb,
            "disk_gb": server.size.disk_gb,
            "server_status": server.status,
            "nova_host": server.host or row.nova_host,
        }
        moved = values["nova_host"] != row.nova_host
        if moved and row.operation_id is None and row.secondary_host is None and row.nova_host == row.primary_host:
            # an operator has moved a server that had no secondary
            values |= {"primary_host": server.host, "primary_since": timeutils.utcnow()}
        if any(getattr(row, name) != value for name, value in values.items()):
            with self._services.database.writer() as session:
                pairs.update(session, row.server_id, **values)

    def _remove(self, row: pairs.Pair) -> None:
        """Forget a deleted server; what its hosts still have of it is stale from now on."""
        LOG.info("Server %s is gone.", row.server_id)
        self._services.placement.release(row.twin_id)
        with self._services.database.writer() as session:
            pairs.remove(session, row.server_id)
