# SPDX-License-Identifier: Apache-2.0
"""What runs on a compute host, whatever kind of host it is."""

from collections.abc import Callable

from lab.cloud.spec import Spec
from lab.core.service import Service

#: Makes a service of its name on the host, its command, and its configuration file.
Make = Callable[[str, str, str], Service]


def services(spec: Spec, make: Make) -> list[Service]:
    """Return nova-compute and, with fault tolerance, the agent, which is to be started first."""
    if not spec.state.colo:
        return [make("nova-compute", "nova-compute", "nova.conf")]
    return [
        make("agent", "nova-colo-agent", "agent.conf"),
        make("nova-compute", "nova-colo-compute", "nova.conf"),
    ]
