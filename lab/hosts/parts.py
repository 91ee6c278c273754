# SPDX-License-Identifier: Apache-2.0
"""The services of a compute host of either kind."""

from collections.abc import Callable

from lab.cloud.spec import Spec
from lab.core.service import Service

#: Returns a service, from its name on the host, its command, and its configuration file.
MakeService = Callable[[str, str, str], Service]


def services(spec: Spec, make_service: MakeService) -> list[Service]:
    """Return nova-compute and, with fault tolerance, the agent, which is started first."""
    if not spec.state.colo:
        return [make_service("nova-compute", "nova-compute", "nova.conf")]
    return [
        make_service("agent", "nova-colo-agent", "agent.conf"),
        make_service("nova-compute", "nova-colo-compute", "nova.conf"),
    ]
