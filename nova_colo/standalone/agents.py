# SPDX-License-Identifier: Apache-2.0
"""What reaches the agents, and says in one line why it does not."""

import dataclasses
from collections.abc import Sequence
from concurrent import futures
from typing import Any

import kombu
import oslo_messaging as messaging
from oslo_config import cfg

from nova_colo import rpc
from nova_colo.agent.replication import GoneError, ReplicationError
from nova_colo.standalone.pair import Agents, PairError, Standing, standing_of

#: Seconds that the broker may take, an agent to say how it is, and an agent to do something.
CONNECT_S, LOOK_S, DO_S = 5.0, 5.0, 60.0
#: What an agent is asked and does nothing for.
QUESTIONS = ("status", "checkpoint_buckets")


class SilentError(PairError):
    """An agent does not answer."""

    def __init__(self, host: str):
        super().__init__(
            f"The agent on {host} does not answer. Start it there, and name the host as its host option does."
        )


class RemoteAgents:
    """The agents behind the broker that transport_url names."""

    def __init__(self, transport: messaging.Transport):
        self._asking = rpc.AgentClient(transport, LOOK_S)
        self._doing = rpc.AgentClient(transport, DO_S)

    def call(self, host: str, method: str, **arguments: Any) -> Any:
        """Ask an agent to do something and return its answer.

        :raises SilentError: when it does not answer
        :raises PairError: when it refuses or fails
        """
        client = self._asking if method in QUESTIONS else self._doing
        try:
            return client.call(host, method, **arguments)
        except messaging.MessagingTimeout as error:
            raise SilentError(host) from error
        except ReplicationError as error:
            raise PairError(_refusal(host, error)) from error
        except messaging.RemoteError as error:
            said = str(error.value).rstrip(".")
            raise PairError(
                f"The agent on {host} failed at {method}: {error.exc_type}: {said}. See its log."
            ) from error
        except messaging.MessagingException as error:
            raise PairError(f"The agent on {host} cannot be asked: {error}. Check transport_url.") from error


def _refusal(host: str, error: ReplicationError) -> str:
    said = str(error.reason)
    if isinstance(error, GoneError):
        said = f"{said} Start the guest, or name the host that it runs on."
    return said if host in said else f"{host}: {said}"


def connect(conf: cfg.ConfigOpts) -> RemoteAgents:
    """Return what reaches the agents, once the broker answers.

    :raises PairError: when it does not
    """
    try:
        transport = rpc.transport(conf)
        url = messaging.TransportURL.parse(conf)
    except (messaging.MessagingException, ValueError) as error:
        raise PairError(f"transport_url cannot be used: {error}") from error
    if url.transport == "rabbit" and not conf.oslo_messaging_rabbit.ssl:
        _check_broker(url)
    return RemoteAgents(transport)


def _check_broker(url: messaging.TransportURL) -> None:
    """Refuse a broker that does not let us in: oslo.messaging would try for ever."""
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
    remedy = "Name that of the agents as transport_url, in the file of --config-file."
    raise PairError(f"The message broker cannot be used, {'; '.join(problems)}. {remedy}")


@dataclasses.dataclass(frozen=True)
class Sight:
    """Where a pair stands, and whose agents have not said so."""

    standing: Standing
    silent: tuple[str, ...]


class AgentPool:
    """The agents, several of them asked at a time."""

    def __init__(self, agents: Agents):
        self._agents = agents

    def call(self, host: str, method: str, **arguments: Any) -> Any:
        """Ask one agent."""
        return self._agents.call(host, method, **arguments)

    def look(self, server_id: str, hosts: Sequence[str], needed: Sequence[str] = ()) -> Sight:
        """Return where a pair stands.

        :param needed: hosts whose agents have to answer
        :raises SilentError: when one of these does not, or none at all
        """

        def ask(host: str) -> Any:
            try:
                return self.call(host, "status", server_id=server_id)
            except SilentError as error:
                return error

        with futures.ThreadPoolExecutor(len(hosts)) as pool:
            asked = dict(zip(hosts, pool.map(ask, hosts), strict=True))
        silent = tuple(host for host, said in asked.items() if isinstance(said, SilentError))
        missed = silent if len(silent) == len(hosts) else [host for host in silent if host in needed]
        if missed:
            raise SilentError(", ".join(missed))
        return Sight(standing_of({host: said for host, said in asked.items() if host not in silent}), silent)
