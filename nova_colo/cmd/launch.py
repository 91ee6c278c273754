# SPDX-License-Identifier: Apache-2.0
"""Runs a service process. To be imported before all that uses oslo.service: it chooses the backend, once."""

from oslo_service import backend

backend.init_backend(backend.BackendType.THREADING)

import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

from oslo_config import cfg  # noqa: E402
from oslo_log import log as logging  # noqa: E402
from oslo_service import service  # noqa: E402

from nova_colo import conf as colo_conf  # noqa: E402


def run(make: Callable[[cfg.ConfigOpts], Any]) -> int:
    """Run the service that make returns until it is told to stop."""
    conf = colo_conf.load(sys.argv[1:])
    logging.setup(conf, "nova_colo")
    return service.launch(conf, make(conf), restart_method="mutate").wait()
