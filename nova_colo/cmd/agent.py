# SPDX-License-Identifier: Apache-2.0
"""nova-colo-agent."""

from nova_colo.cmd import launch  # isort: skip  (before all that uses oslo.service)
from nova_colo.agent.service import AgentService


def main() -> int:
    """Run the agent until it is told to stop."""
    return launch.run(AgentService)
