# SPDX-License-Identifier: Apache-2.0
"""What the hosts of one pair say of it, asked again and again."""

import threading
import time
from collections.abc import Sequence
from typing import Any

from nova_colo.engine.host_tracker import replica_of
from nova_colo.pair.arbitration import Observation
from nova_colo.pair.liveness import Watch
from nova_colo.standalone.agents import AgentPool
from nova_colo.standalone.pair import PairError

#: Seconds between two questions to an agent, and between two looks at their answers.
INTERVAL_S = 0.1


class Sights:
    """The last answers of some hosts. Each is asked in a thread of its own, so that a silent one keeps nobody waiting.

    :param silence: seconds without an answer after which a host counts as silent
    """

    def __init__(self, agents: AgentPool, server_id: str, hosts: Sequence[str], silence: float):
        self._agents = agents
        self._id = server_id
        self._hosts = hosts
        self._missed = max(round(silence / INTERVAL_S), 2)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.renew()

    def renew(self) -> None:
        """Forget what was said: something has been done since, and an old answer must not decide about it."""
        with self._lock:
            self._watch = Watch(INTERVAL_S, self._missed)
            self._replicas: dict[str, dict[str, Any] | None] = {}
            now = time.monotonic()
            for host in self._hosts:  # each has its time to be heard
                self._watch.heard(host, now)

    def start(self) -> None:
        """Begin to ask."""
        for host in self._hosts:
            threading.Thread(target=self._keep_asking, args=(host,), name=f"ask-{host}", daemon=True).start()

    def stop(self) -> None:
        """Ask no more."""
        self._ended.set()

    def _keep_asking(self, host: str) -> None:
        while not self._ended.wait(INTERVAL_S):
            with self._lock:
                watch, replicas = self._watch, self._replicas
            try:
                replica = self._agents.call(host, "status", server_id=self._id)
            except PairError:
                continue
            with self._lock:  # an answer to a question before renew() goes where nobody looks
                watch.heard(host, time.monotonic())
                replicas[host] = replica

    def complete(self) -> bool:
        """Tell whether each host has answered, or has had its time to; to be called about every INTERVAL_S."""
        now = time.monotonic()
        with self._lock:
            self._watch.tick(now)
            return all(host in self._replicas or not self._watch.alive(host, now) for host in self._hosts)

    def replica(self, host: str) -> dict[str, Any] | None:
        """Return what a host that is not silent has said of its replica; None when it has none."""
        with self._lock:
            return self._replicas.get(host) if self._watch.alive(host, time.monotonic()) else None

    def observation(self, host: str) -> Observation:
        """Return what is known of a host."""
        with self._lock:
            if not self._watch.alive(host, time.monotonic()):
                return Observation(False)
            replica = self._replicas.get(host)
            return Observation(True, replica_of(replica) if replica else None)
