# SPDX-License-Identifier: Apache-2.0
"""The configuration of a host's nova-colo-agent, and how one sees that it is up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lab.cloud.config import colo, common
from lab.cloud.config.ini import Sections

if TYPE_CHECKING:
    from lab.machines.host import Host

#: Below what a power cut takes. As seen from inside; QEMU makes sockets there, whose paths have to be short.
RUNTIME_DIRECTORY = "/run/libvirt/nova-colo"


def conf(host: Host, transport_url: str, options: Sections) -> Sections:
    """Return the configuration of the agent of ``host``.

    :param transport_url: the broker's
    :param options: more of it, section by section; what is in here too is replaced
    """
    sections: dict[str, Mapping[str, object]] = {
        "DEFAULT": {
            **common.logging(),
            "log_file": host.agent_log,
            "transport_url": transport_url,
            "host": host.hostname,
            "state_path": host.state_path,
        },
        "agent": {"replication_backend": "qemu", **colo.limits("agent")},
        "qemu": {
            "libvirt_uri": "qemu:///system",
            "replication_address": host.address,
            "runtime_directory": RUNTIME_DIRECTORY,
            **colo.limits("qemu"),
        },
    }
    return {name: {**sections.get(name, {}), **options.get(name, {})} for name in {**sections, **options}}


def missing(host: Host, begun: float) -> str | None:
    """Return what is missing before an agent that was started at ``begun`` is up.

    It writes its health down with each heartbeat, and begins with those once it has the broker's ear.
    """
    health = host.state_path / "agent.json"
    written = json.loads(health.read_text())["at"] if health.exists() else 0.0
    return None if written >= begun else "it has not begun to send heartbeats"
