# SPDX-License-Identifier: Apache-2.0
"""Reserves the secondary's room of a server that is being built and must have it, or not be built at all."""

import time

from oslo_db import exception as db_exception
from oslo_log import log as logging

from nova_colo.db import pairs, retry_on_loss
from nova_colo.engine.clients.nova import Server
from nova_colo.engine.context import Services
from nova_colo.engine.errors import NoRoomError, WorkflowError
from nova_colo.engine.server_sync import columns
from nova_colo.pair import reasons

LOG = logging.getLogger(__name__)


class BuildError(Exception):
    """A server must not be built; the message says why, without naming hosts."""


class Building:
    """Any engine may do this, the active one or another: what it does is in the database and in placement.

    :param listens_from: monotonic seconds from which on the engine has heard every host that is alive
    """

    def __init__(self, services: Services, listens_from: float):
        self._services = services
        self._listens_from = listens_from

    @retry_on_loss
    def reserve(self, server_id: str, host: str) -> str:
        """Return the host where room for a server's secondary was reserved. May be repeated.

        :param host: where the server is being built
        :raises BuildError: when there is none
        """
        try:
            return self._reserve(server_id, host)
        except WorkflowError as error:
            # the server's owner reads it as the fault of the server
            raise BuildError(error.reason.text(hosts=False)) from error

    def _reserve(self, server_id: str, host: str) -> str:
        time.sleep(max(self._listens_from - time.monotonic(), 0.0))
        server = self._services.nova.server(server_id)
        if server is None:
            raise NoRoomError(reasons.NO_SERVER(server=server_id))
        self._make_known(server, host)
        row = self._services.pair(server_id)
        found = self._services.room.take(row)
        self._services.update(server_id, reserved_host=found)
        LOG.info("Server %s is being built on %s, room for its secondary is on %s.", server_id, host, found)
        return found

    def _make_known(self, server: Server, host: str) -> None:
        """Insert the server's pair, or note that it is built on another host now."""
        values = columns(server) | {"primary_host": host, "nova_host": host}
        try:
            with self._services.database.writer() as session:
                pairs.add(session, **values)
        except db_exception.DBDuplicateEntry:
            self._services.update(server.id, primary_host=host, nova_host=host)
