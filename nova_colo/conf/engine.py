# SPDX-License-Identifier: Apache-2.0
"""Options of nova-colo-engine."""

from oslo_config import cfg

GROUP = "engine"
OPTS = [
    cfg.FloatOpt(
        "nova_poll_interval",
        default=5.0,
        min=0.5,
        help="Seconds between two looks at Nova for new, changed and deleted FT servers.",
    ),
    cfg.FloatOpt(
        "lease_time",
        default=10.0,
        min=2.0,
        help="Seconds after which another engine takes over from one that has stopped renewing its lease.",
    ),
    cfg.FloatOpt(
        "agent_timeout",
        default=10.0,
        min=1.0,
        help="Seconds that an agent may take to answer one request.",
    ),
    cfg.IntOpt(
        "protect_timeout",
        default=600,
        min=10,
        help="Seconds that making a secondary may take before it is given up and tried again.",
    ),
    cfg.IntOpt(
        "records_timeout",
        default=300,
        min=10,
        help="Seconds that Nova's records may take to follow a failover before the move is tried again.",
    ),
    cfg.FloatOpt(
        "fence_delay",
        default=10.0,
        min=0.0,
        help="Seconds that the agent of a lost host is waited for before its nova-compute is forced down, so that Nova's records "
        "can follow a failover. The server itself has failed over before that.",
    ),
    cfg.IntOpt(
        "retry_interval",
        default=10,
        min=1,
        help="Seconds before a failed attempt at a pair is repeated; doubled at each further failure, up to sixteenfold.",
    ),
    cfg.FloatOpt(
        "repair_interval",
        default=60.0,
        min=1.0,
        help="Seconds between two comparisons of the secondaries' reservations in placement with the pairs.",
    ),
    cfg.IntOpt(
        "event_retention", default=90, min=1, help="Days that events and finished operations are kept."
    ),
    cfg.IntOpt(
        "checkpoint_retention", default=7, min=1, help="Days that the history of checkpoints is kept."
    ),
    cfg.IntOpt(
        "usage_retention",
        default=400,
        min=1,
        help="Days that is kept when secondaries were there, for usage reports.",
    ),
    cfg.IntOpt(
        "max_workers",
        default=16,
        min=1,
        help="How many pairs are worked on at the same time, of each kind of work.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options on conf."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list:
    """Return the options as oslo-config-generator wants them."""
    return [(GROUP, OPTS)]
