# SPDX-License-Identifier: Apache-2.0
"""Options that several processes share."""

import socket

from oslo_config import cfg

OPTS = [
    cfg.HostAddressOpt(
        "host",
        default=socket.gethostname(),
        sample_default="<hostname>",
        help="Name of this host. On a compute host it must equal the host option of its nova-compute.",
    ),
    cfg.StrOpt(
        "state_path",
        default="/var/lib/nova-colo",
        help="Folder for the agent's state that must survive a reboot: the role of this host for each FT "
        "server.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options on conf."""
    conf.register_opts(OPTS)


def list_opts() -> list:
    """Return the options for oslo-config-generator."""
    return [("DEFAULT", OPTS)]
