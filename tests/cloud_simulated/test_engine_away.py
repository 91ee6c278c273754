# SPDX-License-Identifier: Apache-2.0
"""Agents' heartbeats arrive again when an engine is back after a time without any."""

import pytest
from oslo_utils import timeutils

from lab import Lab
from tests.fixtures.broker import queues
from tests.fixtures.cloud import Cloud, wait_for

CURRENT_S = 90
#: The lab's heartbeat interval is one second.
UNHEARD_S = 4


def agents(cloud: Cloud) -> dict[str, dict[str, str]]:
    return {
        host["host"]: host["agent"]
        for host in cloud.request("GET", "/os-fault-tolerance/hosts").json()["hosts"]
    }


def all_current(cloud: Cloud) -> bool:
    return all(agent["state"] == "up" and not is_old(agent) for agent in agents(cloud).values())


def is_old(agent: dict[str, str]) -> bool:
    return timeutils.is_older_than(agent["seen_at"], UNHEARD_S)


@pytest.mark.timeout(600)
def test_agents_are_heard_again_after_there_was_no_engine_more_than_once(lab):
    """Without a consumer, the broker closes the channels of the heartbeats."""
    cloud, engine = Cloud(lab), lab.service("engine")
    wait_for("all heartbeats arrive", CURRENT_S, lambda: all_current(cloud))
    for end in (engine.stop, engine.kill, engine.kill):
        end()
        try:
            wait_for("all heartbeats are old", CURRENT_S, lambda: all(map(is_old, agents(cloud).values())))
        finally:
            engine.start()
        wait_for("all heartbeats arrive", CURRENT_S, lambda: all_current(cloud))
    # those of a killed engine, into which agents have sent heartbeats meanwhile, are deleted soon
    wait_for("the broker has the queues of one engine", CURRENT_S, lambda: consumers(lab) == [1, 1, 1])


def consumers(lab: Lab) -> list[int]:
    """Return the number of consumers of each queue for the engine."""
    return sorted(queue["consumers"] for queue in queues(lab, "colo-engine").values())
