# SPDX-License-Identifier: Apache-2.0
"""Options of nova-colo-agent, and of the engines that receive its heartbeats."""

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
        help="Seconds between two heartbeats that report the replicas on the host, and between two checks "
        "of all pairs by an engine. Heartbeats in between only show that the host is up. Changes that "
        "cannot wait are reported at once. Engines and agents must agree on it.",
    ),
    cfg.IntOpt(
        "missed_heartbeats",
        default=4,
        min=2,
        help="After this many missed heartbeats in a row an agent counts as silent.",
    ),
    cfg.StrOpt(
        "engine_keys_file",
        help="PEM file with the public keys of all engines. The agent carries out only what one of them has "
        "signed. With none it carries out whatever is published on the message broker.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options on conf."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list:
    """Return the options for oslo-config-generator."""
    return [(GROUP, OPTS)]
