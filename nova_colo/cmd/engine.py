# SPDX-License-Identifier: Apache-2.0
"""nova-colo-engine."""

from nova_colo.cmd import launch  # isort: skip  (before all that uses oslo.service)
from nova_colo.engine.service import EngineService


def main() -> int:
    """Run the engine until it is told to stop."""
    return launch.run(EngineService)
