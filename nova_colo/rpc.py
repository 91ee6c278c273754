# SPDX-License-Identifier: Apache-2.0
"""Messaging between engines and agents: oslo.messaging on Nova's broker, in an exchange of its own.

An agent tells *all* engines its heartbeats (fan-out), so that each can judge by its own monotonic clock; an engine asks one
agent at a time and waits for its answer. Everything said to an agent is idempotent.
"""

from typing import Any

import oslo_messaging as messaging
import tenacity
from oslo_config import cfg

EXCHANGE = "nova_colo"
ENGINE_TOPIC = "colo-engine"
AGENT_TOPIC = "colo-agent"
VERSION = "1.0"

#: A question is lost when nobody has said for so many seconds that it is being worked at. Agents say it twice as often.
LOST_S = 4


def transport(conf: cfg.ConfigOpts) -> messaging.Transport:
    """Return the transport that conf's transport_url names.

    conf must be oslo.config's global options: oslo.messaging registers some of its own nowhere else. Our exchange is named in
    every target and not set as a default, which would be Nova's too where the filter runs.
    """
    return messaging.get_rpc_transport(conf, allowed_remote_exmods=["nova_colo.agent.replication"])


def server(
    transport: messaging.Transport, topic: str, name: str, endpoint: object
) -> messaging.MessageHandlingServer:
    """Return a server (not started) that answers on topic under name."""
    target = messaging.Target(exchange=EXCHANGE, topic=topic, server=name, version=VERSION)
    return messaging.get_rpc_server(transport, target, [endpoint], executor="threading")


class EngineClient:
    """What agents and APIs say to the engines; nobody waits for an answer."""

    def __init__(self, transport: messaging.Transport):
        target = messaging.Target(exchange=EXCHANGE, topic=ENGINE_TOPIC, version=VERSION)
        # A heartbeat that cannot be sent now is worthless later; but it is the second try that makes a new channel (kombu's
        # Connection.ensure). With none, an agent is mute for ever after there was no engine for the second time: the broker
        # closes a channel on which something is sent to an exchange that is gone.
        self._client = messaging.get_rpc_client(transport, target, retry=1).prepare(fanout=True)

    def heartbeat(self, host: str, report: dict[str, Any] | None) -> None:
        """Tell all engines what runs on a host, or, with None, that it is there."""
        self._client.cast({}, "heartbeat", host=host, report=report)

    def wake(self) -> None:
        """Tell all engines that there is something new in the database."""
        self._client.cast({}, "wake")


class ReservationClient:
    """What nova-compute asks of an engine, by Nova's own transport, before it builds an FT server that must have its pair.

    :param timeout: seconds until engines that do not answer raise oslo_messaging.MessagingTimeout
    """

    def __init__(self, transport: messaging.Transport, timeout: float):
        target = messaging.Target(exchange=EXCHANGE, topic=ENGINE_TOPIC, version=VERSION)
        self._client = messaging.get_rpc_client(transport, target, timeout=timeout)

    def reserve(self, server_id: str, host: str) -> str:
        """Reserve room for the secondary of a server that is being built. May be repeated.

        :param host: where the server is being built
        :returns: the host of its secondary
        :raises oslo_messaging.MessagingTimeout: when no engine answers
        :raises oslo_messaging.RemoteError: of the type ``BuildError`` when there is no capacity: its ``value`` tells the server's
            owner why; of another type when the engine fails
        """
        return self._client.call({}, "reserve", server_id=server_id, host=host)


class AgentClient:
    """What the engine asks of agents. A broker that is restarted loses what it holds: what nobody works at is asked again.

    :param timeout: seconds until an agent that does not answer raises oslo_messaging.MessagingTimeout
    """

    def __init__(self, transport: messaging.Transport, timeout: float):
        target = messaging.Target(exchange=EXCHANGE, topic=AGENT_TOPIC, version=VERSION)
        self._client = messaging.get_rpc_client(
            transport, target, timeout=timeout, call_monitor_timeout=LOST_S
        )
        self._asking = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(messaging.MessagingTimeout),
            stop=tenacity.stop_after_delay(timeout),
            reraise=True,
        )

    def call(self, host: str, method: str, **arguments: Any) -> Any:
        """Ask the agent on host to do something and return its answer.

        :raises oslo_messaging.MessagingTimeout: when it does not answer
        :raises nova_colo.agent.replication.ReplicationError: when it refuses, or its QEMU does
        :raises oslo_messaging.RemoteError: when it fails
        """
        return self._asking(self._client.prepare(server=host).call, {}, method, **arguments)
