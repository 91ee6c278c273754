# SPDX-License-Identifier: Apache-2.0
"""Options of the simulated hypervisor and its replication backend."""

from oslo_config import cfg

GROUP = "simulated"
OPTS = [
    cfg.StrOpt(
        "directory",
        default="/run/nova-colo-simulated",
        help="Folder shared by all simulated hosts: it simulates their memory and the network between them.",
    ),
    cfg.FloatOpt(
        "mirror_time", default=2.0, min=0.0, help="Seconds that the first copy of disk and RAM takes."
    ),
    cfg.FloatOpt(
        "mismatches_per_minute",
        default=6.0,
        min=0.0,
        help="How often the replies of primary and secondary differ, on average.",
    ),
    cfg.FloatOpt(
        "checkpoint_delay",
        default=20.0,
        min=1.0,
        help="Seconds without a mismatch until a periodic checkpoint.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options on conf."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list:
    """Return the options for oslo-config-generator."""
    return [(GROUP, OPTS)]
