# SPDX-License-Identifier: Apache-2.0
"""Calls to the agents, with one-line errors when they fail."""

import dataclasses
from collections.abc import Sequence
from concurrent import futures
from typing import Any

import kombu
import oslo_messaging as messaging
from oslo_config import cfg

from nova_colo import rpc
from nova_colo.agent import signing
from nova_colo.agent.replication import GoneError, ReplicationError
from nova_colo.agent.rpcapi import AgentAPI
from nova_colo.standalone.pair import Agents, PairError, PairObservation, observation_of

#: Timeouts in seconds: of the connection to the broker, of a query, and of any other call.
CONNECT_S, QUERY_S, COMMAND_S = 5.0, 5.0, 60.0
#: Methods of the agents that only read.
QUERIES = ("status", "checkpoint_buckets")


class SilentError(PairError):
    """An agent does not answer."""

    def __init__(self, host: str):
        super().__init__(
            f"The agent on {host} does not answer. Start it there, and name the host as its host option does."
        )


class RefusedError(PairError):
    """An agent refuses a request."""


class RemoteAgents:
    """Clients of the agents behind the broker of transport_url."""

    def __init__(self, transport: messaging.Transport, sign: rpc.Sign):
        self._query_client = rpc.AgentClient(transport, QUERY_S, sign)
        self._command_client = rpc.AgentClient(transport, COMMAND_S, sign)

    def call(self, host: str, method: str, **arguments: Any) -> Any:
        """Call a method of an agent and return its result.

        :raises SilentError: when the agent does not answer
        :raises RefusedError: when the agent refuses the call
        :raises PairError: when it fails, or the message broker cannot be used
        """
        client = self._query_client if method in QUERIES else self._command_client
        try:
            return client.call(host, method, **arguments)
        except messaging.MessagingTimeout as error:
            raise SilentError(host) from error
        except ReplicationError as error:
            raise RefusedError(_refusal(host, error)) from error
        except messaging.RemoteError as error:
            message = str(error.value).rstrip(".")
            raise PairError(
                f"The agent on {host} failed at {method}: {error.exc_type}: {message}. See its log."
            ) from error
        except messaging.MessagingException as error:
            raise PairError(
                f"The agent on {host} cannot be reached: {error}. Check transport_url."
            ) from error


def _refusal(host: str, error: ReplicationError) -> str:
    message = str(error.reason)
    if isinstance(error, GoneError):
        message = f"{message} Start the guest, or name the host that it runs on."
    return message if host in message else f"{host}: {message}"


def connect(conf: cfg.ConfigOpts) -> RemoteAgents:
    """Return clients of the agents, once the broker answers.

    :raises PairError: when the broker cannot be used
    """
    try:
        transport = rpc.transport(conf)
        url = messaging.TransportURL.parse(conf)
    except (messaging.MessagingException, ValueError) as error:
        raise PairError(f"transport_url cannot be used: {error}") from error
    if url.transport == "rabbit" and not conf.oslo_messaging_rabbit.ssl:
        _check_broker(url)
    return RemoteAgents(transport, signing.sign_by(conf))


def _check_broker(url: messaging.TransportURL) -> None:
    """Refuse a broker that rejects the connection: oslo.messaging would retry without an end."""
    problems = []
    for host in url.hosts or [messaging.TransportHost("localhost", 5672)]:
        broker = kombu.Connection(
            hostname=host.hostname,
            port=host.port or 5672,
            userid=host.username or "guest",
            password=host.password or "guest",
            virtual_host=url.virtual_host or "/",
            connect_timeout=CONNECT_S,
        )
        try:
            broker.connect()
            return
        except (OSError, *broker.connection_errors, *broker.channel_errors) as error:
            problems.append(f"{host.hostname}:{host.port or 5672}: {error}")
        finally:
            broker.release()
    remedy = "Set transport_url to the broker of the agents, in the file of --config-file."
    raise PairError(f"The message broker cannot be used, {'; '.join(problems)}. {remedy}")


@dataclasses.dataclass(frozen=True)
class PollResult:
    """The observed state of a pair.

    :param silent: hosts whose agents have not answered
    """

    observed: PairObservation
    silent: tuple[str, ...]


class AgentPool:
    """The agents of several hosts, polled in parallel."""

    def __init__(self, agents: Agents):
        self.call = agents.call
        self.api = AgentAPI(agents.call)

    def poll(self, server_id: str, hosts: Sequence[str], needed: Sequence[str] = ()) -> PollResult:
        """Poll the agents of some hosts for their replicas of a pair.

        :param needed: hosts whose agents have to answer
        :raises SilentError: when one of these does not answer, or none at all
        """

        def ask(host: str) -> Any:
            try:
                return self.api.status(host, server_id)
            except SilentError as error:
                return error

        with futures.ThreadPoolExecutor(len(hosts)) as pool:
            replies = dict(zip(hosts, pool.map(ask, hosts), strict=True))
        silent = tuple(host for host, reply in replies.items() if isinstance(reply, SilentError))
        required_silent = silent if len(silent) == len(hosts) else [host for host in silent if host in needed]
        if required_silent:
            raise SilentError(", ".join(required_silent))
        return PollResult(
            observation_of({host: reply for host, reply in replies.items() if host not in silent}), silent
        )
