# SPDX-License-Identifier: Apache-2.0
"""The context of the engine's work: its clients and the state of the hosts."""

import time
from collections.abc import Callable
from typing import Any

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_log import log as logging

from nova_colo.agent.replication import (
    GoneError,
    MonitorError,
    ReplicationError,
    SilentError,
    UnverifiedError,
)
from nova_colo.agent.rpcapi import AgentAPI
from nova_colo.db import Database, events, pairs
from nova_colo.db.models import Pair
from nova_colo.engine.capacity import Capacity
from nova_colo.engine.clients.neutron import NeutronClient
from nova_colo.engine.clients.nova import NovaClient
from nova_colo.engine.clients.placement import PlacementClient
from nova_colo.engine.errors import AgentRefusalError, OperationEndedError, WorkflowError
from nova_colo.engine.host_gate import HostGate
from nova_colo.engine.host_tracker import HostTracker
from nova_colo.pair import reasons
from nova_colo.pair.reasons import Reason
from nova_colo.rpc import AgentClient, Sign

LOG = logging.getLogger(__name__)


class Context:
    """Database, agents, Nova, Placement, Neutron, and the state of the hosts.

    :param sign: signs requests to agents
    :param clock: monotonic, in seconds
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        transport: messaging.Transport,
        sign: Sign,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.conf = conf
        self.clock = clock
        self.database = Database(conf)
        self.agent_client = AgentClient(transport, conf.engine.agent_timeout, sign)
        self.agent_api = AgentAPI(self._call_agent)
        self.nova = NovaClient(conf)
        self.placement = PlacementClient(conf)
        self.neutron = NeutronClient(conf)
        self.tracker = HostTracker(conf.agent.heartbeat_interval, conf.agent.missed_heartbeats, clock)
        self.gate = HostGate(self.nova)
        self.capacity = Capacity(self.database, self.nova, self.placement, self.tracker)

    def alive(self, host: str) -> bool:
        """Return whether a host's agent is alive."""
        return self.tracker.alive(host)

    def pair(self, server_id: str) -> Pair:
        """Return the row of a server's pair.

        :raises WorkflowError: when it does not exist
        """
        with self.database.reader() as session:
            row = pairs.get(session, server_id)
        if row is None:
            raise WorkflowError(reasons.NOT_FT())
        return row

    def update(self, server_id: str, **values: Any) -> None:
        """Set columns of a server's pair."""
        with self.database.writer() as session:
            pairs.update(session, server_id, **values)

    def update_claimed(self, server_id: str, operation_id: str, **values: Any) -> None:
        """Set columns of a server's pair that an operation has claimed.

        :raises OperationEndedError: when the operation no longer has the claim
        :raises WorkflowError: when the pair does not exist
        """
        with self.database.writer() as session:
            updated = pairs.update_claimed(session, server_id, operation_id, **values)
        if not updated:
            self.pair(server_id)
            raise OperationEndedError()

    def _call_agent(self, host: str, method: str, **arguments: Any) -> Any:
        """Call a method of a host's agent and return its result.

        :raises AgentRefusalError: when the agent refuses the request
        :raises WorkflowError: when the agent does not answer, or fails
        """
        try:
            result = self.agent_client.call(host, method, **arguments)
        except messaging.MessagingTimeout as error:
            raise WorkflowError(reasons.AGENT_TIMEOUT(host=host)) from error
        except UnverifiedError as error:
            self.tracker.record_answer(host, error.reason)
            raise WorkflowError(reasons.AGENT_REFUSED(host=host, error=error.reason)) from error
        except (MonitorError, SilentError, GoneError) as error:
            self.tracker.record_answer(host, None)
            raise WorkflowError(reasons.AGENT_REFUSED(host=host, error=error.reason)) from error
        except ReplicationError as error:
            self.tracker.record_answer(host, None)
            raise AgentRefusalError(reasons.AGENT_REFUSED(host=host, error=error.reason)) from error
        except messaging.RemoteError as error:
            raise WorkflowError(reasons.AGENT_FAILED(host=host, text=str(error.value))) from error
        self.tracker.record_answer(host, None)
        return result

    def record_event(self, server_id: str, kind: str, reason: Reason) -> None:
        """Log and record an event of a server."""
        LOG.info("Server %s: %s", server_id, reason)
        with self.database.writer() as session:
            events.add(session, server_id, kind, reason)
