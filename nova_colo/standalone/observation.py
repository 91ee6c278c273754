# SPDX-License-Identifier: Apache-2.0
"""Periodic observation of the hosts of one pair."""

import threading
import time
from collections.abc import Sequence

from nova_colo.agent.rpcapi import ReplicaReport
from nova_colo.engine.host_tracker import replica_of
from nova_colo.pair.arbitration import Observation
from nova_colo.pair.liveness import Watch
from nova_colo.standalone.agents import AgentPool, RefusedError
from nova_colo.standalone.pair import PairError

#: Seconds between two polls of an agent, and between two evaluations of the replies.
INTERVAL_S = 0.1


class Observations:
    """The last replies of some hosts.

    Each host is polled in a thread of its own, so that a silent one delays none of the others.

    :param silence: seconds without an answer after which a host counts as silent
    """

    def __init__(self, agents: AgentPool, server_id: str, hosts: Sequence[str], silence: float):
        self._agents = agents
        self._id = server_id
        self._hosts = hosts
        self._missed = max(round(silence / INTERVAL_S), 2)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.reset()

    def reset(self) -> None:
        """Drop all replies: the pair has been changed since, and an old reply must not decide about it."""
        with self._lock:
            self._watch = Watch(INTERVAL_S, self._missed)
            self._replicas: dict[str, ReplicaReport | None] = {}
            self._failures: dict[str, str] = {}
            now = time.monotonic()
            for host in self._hosts:  # each has the full time to answer
                self._watch.record_heartbeat(host, now)

    def start(self) -> None:
        """Start polling."""
        for host in self._hosts:
            threading.Thread(target=self._poll_host, args=(host,), name=f"poll-{host}", daemon=True).start()

    def stop(self) -> None:
        """Stop polling."""
        self._stopped.set()

    def _poll_host(self, host: str) -> None:
        while not self._stopped.wait(INTERVAL_S):
            with self._lock:
                watch, replicas, failures = self._watch, self._replicas, self._failures
            replica, failure = None, ""
            try:
                replica = self._agents.api.status(host, self._id)
            except RefusedError as error:
                failure = str(error)
            except PairError:
                continue
            # a reply to a call made before reset() goes to objects that are no longer used
            with self._lock:
                watch.record_heartbeat(host, time.monotonic())
                if failure:
                    failures[host] = failure
                else:
                    failures.pop(host, None)
                    replicas[host] = replica

    def failures(self, *hosts: str | None) -> list[str]:
        """Return the errors of those of some hosts whose agents answer, but do not say what they have."""
        with self._lock:
            now = time.monotonic()
            return [
                self._failures[host]
                for host in hosts
                if host in self._failures and self._watch.alive(host, now)
            ]

    def complete(self, *hosts: str | None) -> bool:
        """Return whether each host has answered or timed out. Call it about every INTERVAL_S.

        :param hosts: those of the pair, whose replies must say what they have
        """
        failures, now = self.failures(*hosts), time.monotonic()
        with self._lock:
            self._watch.tick(now)
            answered = {*self._replicas, *self._failures}
            return not failures and all(
                host in answered or not self._watch.alive(host, now) for host in self._hosts
            )

    def replica(self, host: str) -> ReplicaReport | None:
        """Return the last report of a host's replica; None when it has none or the host is silent."""
        with self._lock:
            return self._replicas.get(host) if self._watch.alive(host, time.monotonic()) else None

    def observation(self, host: str) -> Observation:
        """Return the observation of a host, as arbitration takes it."""
        with self._lock:
            if not self._watch.alive(host, time.monotonic()):
                return Observation(False)
            replica = self._replicas.get(host)
            return Observation(True, replica_of(replica) if replica else None)
