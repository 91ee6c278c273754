# SPDX-License-Identifier: Apache-2.0
"""RPC between engines and agents: oslo.messaging on Nova's broker, in an exchange of its own.

An agent casts its heartbeats to *all* engines (fan-out), so that each judges by its own monotonic clock. An
engine calls one agent at a time and waits for the reply. Every method of an agent is idempotent.
"""

from collections.abc import Callable, Mapping
from typing import Any

import oslo_messaging as messaging
import tenacity
from oslo_config import cfg
from oslo_messaging import opts

EXCHANGE = "nova_colo"
ENGINE_TOPIC = "colo-engine"
AGENT_TOPIC = "colo-agent"
VERSION = "1.0"

#: Seconds without a keep-alive message from the receiver of a call after which the call counts as lost.
#: Agents send two in that time.
LOST_S = 4

#: Returns the context of a request with its signature, ``sign(host, method, arguments)``.
Sign = Callable[[str, str, Mapping[str, Any]], dict[str, Any]]

#: Our processes' defaults of [oslo_messaging_rabbit], in seconds. A broker that has lost its power counts as
#: lost after the first, and reconnecting is tried at least as often as the second says. The queues of a
#: process that was killed, into which agents go on to send heartbeats, are deleted after the third.
RABBIT_DEFAULTS = {
    "heartbeat_timeout_threshold": 10,
    "rabbit_interval_max": 2,
    "rabbit_transient_queues_ttl": 30,
}


def set_defaults(conf: cfg.ConfigOpts) -> None:
    """Set our processes' defaults of oslo.messaging's options."""
    for group, options in opts.list_opts():
        if group == "oslo_messaging_rabbit":
            conf.register_opts(options, group=group)
    for name, value in RABBIT_DEFAULTS.items():
        conf.set_default(name, value, group="oslo_messaging_rabbit")


def transport(conf: cfg.ConfigOpts) -> messaging.Transport:
    """Return the transport of conf's transport_url.

    conf must be oslo.config's global options: oslo.messaging registers some of its own there only. The
    exchange is in every target and not a default, which would change Nova's too in the process of the filter.
    """
    return messaging.get_rpc_transport(conf, allowed_remote_exmods=["nova_colo.agent.replication"])


def server(
    transport: messaging.Transport, topic: str, name: str, endpoint: object
) -> messaging.MessageHandlingServer:
    """Return an RPC server for topic and name, not started."""
    target = messaging.Target(exchange=EXCHANGE, topic=topic, server=name, version=VERSION)
    return messaging.get_rpc_server(transport, target, [endpoint], executor="threading")


class EngineClient:
    """Casts from agents and APIs to all engines."""

    def __init__(self, transport: messaging.Transport):
        target = messaging.Target(exchange=EXCHANGE, topic=ENGINE_TOPIC, version=VERSION)
        # A late heartbeat is worthless, but the first retry is what opens a new channel (kombu's
        # Connection.ensure). Without a retry an agent could never send again once all engines had been away
        # for the second time: the broker closes a channel on which a message is sent to an exchange that does
        # not exist.
        self._client = messaging.get_rpc_client(transport, target, retry=1).prepare(fanout=True)

    def heartbeat(self, host: str, report: dict[str, Any] | None) -> None:
        """Send a heartbeat to all engines.

        :param report: the report of the host's agent; None for a heartbeat without a report
        """
        self._client.cast({}, "heartbeat", host=host, report=report)

    def wake(self) -> None:
        """Notify all engines of a change in the database."""
        self._client.cast({}, "wake")


class ReservationClient:
    """Calls from nova-compute to an engine, by Nova's own transport, before it builds an FT server strictly.

    :param timeout: seconds without a reply after which oslo_messaging.MessagingTimeout is raised
    """

    def __init__(self, transport: messaging.Transport, timeout: float):
        target = messaging.Target(exchange=EXCHANGE, topic=ENGINE_TOPIC, version=VERSION)
        self._client = messaging.get_rpc_client(transport, target, timeout=timeout)

    def reserve(self, server_id: str, host: str) -> str:
        """Reserve capacity for the secondary of a server that is being built. May be repeated.

        :param host: where the server is being built
        :returns: the host of its secondary
        :raises oslo_messaging.MessagingTimeout: when no engine answers
        :raises oslo_messaging.RemoteError: of the type ``BuildError`` when there is no capacity, with the
            cause for the server's owner as its ``value``; of another type when the engine fails
        """
        return self._client.call({}, "reserve", server_id=server_id, host=host)


def unsigned(host: str, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the context of a request that is not signed."""
    return {}


class AgentClient:
    """Calls from the engine to agents. A call that a restarted broker has lost is repeated.

    :param timeout: seconds without a reply after which oslo_messaging.MessagingTimeout is raised
    :param sign: signs the requests, see :mod:`nova_colo.agent.signing`
    """

    def __init__(self, transport: messaging.Transport, timeout: float, sign: Sign = unsigned):
        target = messaging.Target(exchange=EXCHANGE, topic=AGENT_TOPIC, version=VERSION)
        self._sign = sign
        self._client = messaging.get_rpc_client(
            transport, target, timeout=timeout, call_monitor_timeout=LOST_S
        )
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(messaging.MessagingTimeout),
            stop=tenacity.stop_after_delay(timeout),
            reraise=True,
        )

    def call(self, host: str, method: str, **arguments: Any) -> Any:
        """Call a method of the agent on a host and return its result.

        :raises oslo_messaging.MessagingTimeout: when it does not answer
        :raises nova_colo.agent.replication.ReplicationError: when it or its QEMU refuses
        :raises oslo_messaging.RemoteError: when it fails
        """
        return self._retrying(self._call, host, method, arguments)

    def _call(self, host: str, method: str, arguments: Mapping[str, Any]) -> Any:
        # a signature of its own for each attempt: an agent carries out a signed request once
        return self._client.prepare(server=host).call(
            self._sign(host, method, arguments), method, **arguments
        )
