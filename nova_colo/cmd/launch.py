# SPDX-License-Identifier: Apache-2.0
"""Launcher of service processes. Import it before any user of oslo.service: it selects the backend, once."""

from oslo_service import backend

backend.init_backend(backend.BackendType.THREADING)

import pathlib  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

from oslo_config import cfg  # noqa: E402
from oslo_log import log as logging  # noqa: E402
from oslo_service import service  # noqa: E402

from nova_colo import conf as colo_conf  # noqa: E402
from nova_colo import rpc  # noqa: E402


def run(make: Callable[[cfg.ConfigOpts], Any]) -> int:
    """Run a service until it is told to stop.

    :param make: returns the service
    :returns: the exit code: 1, with one line on stderr, when the configuration cannot be used
    """
    try:
        conf = colo_conf.load(sys.argv[1:])
        rpc.set_defaults(conf)
        logging.setup(conf, "nova_colo")
        running = make(conf)
    except cfg.Error as error:
        print(f"{pathlib.Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        return 1
    return service.launch(conf, running, restart_method="mutate").wait()
