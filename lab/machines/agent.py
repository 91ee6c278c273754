# SPDX-License-Identifier: Apache-2.0
"""The configuration of a host's nova-colo-agent, and the check that it is up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lab.cloud.config import colo, common
from lab.cloud.config.ini import Sections

if TYPE_CHECKING:
    from lab.machines.host import Host

#: In the host's folder, and path inside the host. A power cut deletes it. QEMU creates sockets there, so it
#: must be short.
RUN = "run/nova-colo"
RUNTIME_DIRECTORY = "/run/libvirt/nova-colo"


def conf(host: Host, transport_url: str, options: Sections) -> Sections:
    """Return the configuration of the agent of ``host``.

    :param transport_url: URL of the broker
    :param options: additional options by section; they override the others
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
            "instances_path": "",  # the guests are not Nova's
            "replication_address": host.address,
            "runtime_directory": RUNTIME_DIRECTORY,
            **colo.limits("qemu"),
        },
        "nova_colo_privileged": {"helper_command": host.helper_command},
    }
    return {name: {**sections.get(name, {}), **options.get(name, {})} for name in {**sections, **options}}


def missing(host: Host, started: float) -> str | None:
    """Return why an agent is not up yet, None if it is.

    It writes its health file with each heartbeat, and sends heartbeats once it is connected to the broker.

    :param started: when it was started, as of time.time()
    """
    health = host.state_path / "agent.json"
    written = json.loads(health.read_text())["at"] if health.exists() else 0.0
    return None if written >= started else "it has not sent a heartbeat"
