# SPDX-License-Identifier: Apache-2.0
"""Reserve the secondary's capacity of a server that must not be built without it."""

import time

from oslo_db import exception as db_exception
from oslo_log import log as logging

from nova_colo.db import pairs, retry_on_loss
from nova_colo.engine.clients.nova import Server
from nova_colo.engine.context import Context
from nova_colo.engine.errors import WorkflowError
from nova_colo.engine.server_sync import columns
from nova_colo.pair import reasons

LOG = logging.getLogger(__name__)


class BuildError(Exception):
    """A server must not be built. The message has the cause, without names of hosts."""


class BuildReservation:
    """Reserves capacity for builds. Any engine may do this: all state is in the database and in Placement.

    :param listens_from: when, by the context's clock, the engine has a heartbeat of every host that is alive
    """

    def __init__(self, context: Context, listens_from: float):
        self._context = context
        self._listens_from = listens_from

    @retry_on_loss
    def reserve(self, server_id: str, host: str) -> str:
        """Reserve capacity for a server's secondary and return its host. May be repeated.

        :param host: where the server is being built
        :raises BuildError: when no host has capacity
        """
        try:
            return self._reserve(server_id, host)
        except WorkflowError as error:
            # the server's owner can read it in the server's fault
            raise BuildError(error.reason.text(hosts=False)) from error

    def _reserve(self, server_id: str, host: str) -> str:
        time.sleep(max(self._listens_from - self._context.clock(), 0.0))
        server = self._context.nova.server(server_id)
        if server is None:
            raise WorkflowError(reasons.NO_SERVER(server=server_id))
        # whoever can publish on the broker can send this: it must not move the pair of a server that exists
        if not server.fault_tolerant or (server.status, server.host) != ("BUILD", host):
            raise WorkflowError(reasons.NOT_BEING_BUILT(server=server_id, host=host))
        self._add_pair(server, host)
        row = self._context.pair(server_id)
        reserved = self._context.capacity.reserve(row)
        self._context.update(server_id, reserved_host=reserved)
        LOG.info(
            "Server %s is built on %s; reserved capacity for its secondary on %s.", server_id, host, reserved
        )
        return reserved

    def _add_pair(self, server: Server, host: str) -> None:
        """Insert the server's pair, or update its host: Nova may retry a build on another one."""
        values = columns(server) | {"primary_host": host, "nova_host": host}
        try:
            with self._context.database.writer() as session:
                pairs.add(session, **values)
        except db_exception.DBDuplicateEntry:
            with self._context.database.writer() as session:
                moved = pairs.move_build(session, server.id, host)
            if not moved:
                raise WorkflowError(reasons.NOT_BEING_BUILT(server=server.id, host=host)) from None
