# SPDX-License-Identifier: Apache-2.0
"""nova-colo-agent."""

from oslo_service import backend

backend.init_backend(backend.BackendType.THREADING)

import sys  # noqa: E402

from oslo_log import log as logging  # noqa: E402
from oslo_service import service  # noqa: E402

from nova_colo import conf as colo_conf  # noqa: E402
from nova_colo.agent.service import AgentService  # noqa: E402


def main() -> int:
    """Run the agent until it is told to stop."""
    conf = colo_conf.load(sys.argv[1:])
    logging.setup(conf, "nova_colo")
    launcher = service.launch(conf, AgentService(conf), restart_method="mutate")
    return launcher.wait()
