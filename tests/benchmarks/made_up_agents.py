# SPDX-License-Identifier: Apache-2.0
"""Agents of many hosts in one process: heartbeats at the real rate, each with its sending time.

python made_up_agents.py CONFIG PAIRS HOSTS
"""

import dataclasses
import itertools
import sys
import threading
import time
from typing import Any

import oslo_messaging as messaging
from oslo_config import cfg

from nova_colo import conf as colo_conf
from nova_colo import rpc
from nova_colo.agent.replication import Report
from nova_colo.pair import checkpoint_stats
from nova_colo.pair.model import Cause
from tests.benchmarks.made_up import figures


class Agent:
    """The agent of a host with the primaries and secondaries of layout()."""

    target = messaging.Target(version=rpc.VERSION)

    def __init__(self, primaries: list[str], secondaries: list[str]):
        self._primaries = primaries
        self._secondaries = secondaries

    def report(self) -> dict[str, Any]:
        """Return a heartbeat."""
        replica = {"epoch": 0, **dataclasses.asdict(Report(running=True, link_up=True))}
        made_up = figures(sent_at=time.time())
        servers = {
            server: replica | {"role": "primary", "checkpoints": made_up} for server in self._primaries
        }
        servers |= {server: replica | {"role": "secondary"} for server in self._secondaries}
        return {"backend": "simulated", "version": "0", "versions": {}, "reasons": [], "servers": servers}

    def checkpoint_buckets(self, ctxt: dict[str, Any], since: int) -> dict[str, list[dict[str, float]]]:
        """Return one checkpoint in every ten seconds."""
        now = time.time()
        taken = [
            checkpoint_stats.Checkpoint(at, Cause.MISMATCH, 9.0)
            for at in range(max(since, int(now) - 60), int(now), 10)
        ]
        return {server: checkpoint_stats.buckets(taken, 10, since, now) for server in self._primaries}


def server_ids(pairs: int) -> list[str]:
    """Return the ids of made-up servers."""
    return [f"{number:08x}-0000-4000-8000-000000000000" for number in range(pairs)]


def layout(pairs: int, hosts: int) -> dict[str, tuple[str, str]]:
    """Return primary and secondary host of each made-up server."""
    names = [f"made-up-{number}" for number in range(hosts)]
    return {server: (names[n % hosts], names[(n + 1) % hosts]) for n, server in enumerate(server_ids(pairs))}


def main(config: str, pairs: int, hosts: int) -> None:
    """Send heartbeats until killed."""
    colo_conf.load([], [config])
    transport = rpc.transport(cfg.CONF)
    engines = rpc.EngineClient(transport)
    placed = layout(pairs, hosts)
    agents = {}
    for host in sorted({host for both in placed.values() for host in both}):
        primaries = [server for server, (primary, _) in placed.items() if primary == host]
        secondaries = [server for server, (_, secondary) in placed.items() if secondary == host]
        agents[host] = Agent(primaries, secondaries)
        rpc.server(transport, rpc.AGENT_TOPIC, host, agents[host]).start()
    print("ready", flush=True)
    waiting, options = threading.Event(), cfg.CONF.agent
    beats = round(options.report_interval / options.heartbeat_interval)
    for beat in itertools.count():
        began = time.monotonic()
        for host, agent in agents.items():
            engines.heartbeat(host, None if beat % beats else agent.report())
        waiting.wait(max(options.heartbeat_interval - (time.monotonic() - began), 0))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
