# SPDX-License-Identifier: Apache-2.0
"""Options of nova-colo-agent, and of those who listen to it."""

from oslo_config import cfg

GROUP = "agent"
OPTS = [
    cfg.StrOpt(
        "replication_backend",
        default="simulated",
        help="Replication backend, by the name of its entry point in nova_colo.replication.",
    ),
    cfg.FloatOpt(
        "heartbeat_interval",
        default=0.5,
        min=0.1,
        help="Seconds between two heartbeats of an agent. Engines and agents must agree on it.",
    ),
    cfg.FloatOpt(
        "report_interval",
        default=1.0,
        min=0.1,
        help="Seconds between two heartbeats that say what runs on the host, and between two looks of an engine at all pairs. "
        "Those in between only say that the host is there. What cannot wait is told at once. Engines and agents must agree.",
    ),
    cfg.IntOpt(
        "missed_heartbeats",
        default=4,
        min=2,
        help="After so many missed heartbeats in a row an agent counts as silent.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options on conf."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list:
    """Return the options as oslo-config-generator wants them."""
    return [(GROUP, OPTS)]
