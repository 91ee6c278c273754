# SPDX-License-Identifier: Apache-2.0
"""Engines are away for a while: agents are heard again when one is back."""

import pytest
from oslo_utils import timeutils

from tests.fixtures.cloud import Cloud, wait_for

HEARD_S = 90
#: Heartbeats are a second apart in the lab.
UNHEARD_S = 4


def agents(cloud: Cloud) -> dict[str, dict[str, str]]:
    return {
        host["host"]: host["agent"]
        for host in cloud.request("GET", "/os-fault-tolerance/hosts").json()["hosts"]
    }


def all_heard(cloud: Cloud) -> bool:
    return all(agent["state"] == "up" and not is_old(agent) for agent in agents(cloud).values())


def is_old(agent: dict[str, str]) -> bool:
    return timeutils.is_older_than(agent["seen_at"], UNHEARD_S)


@pytest.mark.timeout(600)
def test_agents_are_heard_again_after_there_was_no_engine_more_than_once(lab):
    """Nobody takes their heartbeats then, which the broker answers by closing their channels."""
    cloud, engine = Cloud(lab), lab.service("engine")
    wait_for("all agents are heard", HEARD_S, lambda: all_heard(cloud))
    for _ in range(3):
        engine.stop()
        try:
            wait_for("nobody hears them", HEARD_S, lambda: all(map(is_old, agents(cloud).values())))
        finally:
            engine.start()
        wait_for("all agents are heard", HEARD_S, lambda: all_heard(cloud))
