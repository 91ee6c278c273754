# SPDX-License-Identifier: Apache-2.0
"""Agents' heartbeats arrive again when an engine is back after a time without any."""

import pytest
from oslo_utils import timeutils

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
    for _ in range(3):
        engine.stop()
        try:
            wait_for("all heartbeats are old", CURRENT_S, lambda: all(map(is_old, agents(cloud).values())))
        finally:
            engine.start()
        wait_for("all heartbeats arrive", CURRENT_S, lambda: all_current(cloud))
