# SPDX-License-Identifier: Apache-2.0
"""What workflows work with."""

import collections
import threading
import time
from typing import Any

import oslo_messaging as messaging
from oslo_config import cfg

from nova_colo.db import Database, pairs
from nova_colo.db.models import Pair
from nova_colo.engine.nova import NovaClient
from nova_colo.engine.placement import PlacementClient
from nova_colo.engine.view import HostView
from nova_colo.pair import words
from nova_colo.rpc import AgentClient


class WorkflowError(Exception):
    """A workflow cannot go on; the message says why, in words for people."""


class Services:
    """Database, agents, Nova and Placement, and the engine's view of the hosts."""

    def __init__(self, conf: cfg.ConfigOpts, transport: messaging.Transport):
        self.conf = conf
        self.database = Database(conf)
        self.agents = AgentClient(transport, conf.engine.agent_timeout)
        self.nova = NovaClient(conf)
        self.placement = PlacementClient(conf)
        self.view = HostView(conf.agent.heartbeat_interval, conf.agent.missed_heartbeats)
        self._locks: dict[str, threading.Lock] = collections.defaultdict(threading.Lock)

    def alive(self, host: str) -> bool:
        """Return whether a host's agent answers."""
        return self.view.alive(host, time.monotonic())

    def pair(self, server_id: str) -> Pair:
        """Return the row of a server's pair.

        :raises WorkflowError: when it is gone
        """
        with self.database.reader() as session:
            row = pairs.get(session, server_id)
        if row is None:
            raise WorkflowError("The server is no FT server any more.")
        return row

    def update(self, server_id: str, **values: Any) -> None:
        """Set columns of a server's pair."""
        with self.database.writer() as session:
            pairs.update(session, server_id, **values)

    def ask(self, host: str, method: str, **arguments: Any) -> Any:
        """Ask the agent of a host.

        :raises WorkflowError: when it does not answer or cannot do it
        """
        try:
            return self.agents.call(host, method, **arguments)
        except messaging.MessagingTimeout as error:
            raise WorkflowError(f"The agent on {words.host(host)} did not answer.") from error
        except messaging.RemoteError as error:
            raise WorkflowError(f"{words.host(host)}: {error.value}") from error

    def moving_to(self, host: str) -> threading.Lock:
        """Return the lock that lets one server's records move to a host at a time: it is disabled for the scheduler meanwhile."""
        return self._locks[host]
