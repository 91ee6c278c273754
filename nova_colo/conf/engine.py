# SPDX-License-Identifier: Apache-2.0
"""Options of nova-colo-engine."""

from oslo_config import cfg

GROUP = "engine"
OPTS = [
    cfg.FloatOpt(
        "nova_poll_interval",
        default=5.0,
        min=0.5,
        help="Seconds between two polls of Nova for new, changed and deleted FT servers.",
    ),
    cfg.FloatOpt(
        "lease_time",
        default=10.0,
        min=2.0,
        help="Seconds after which another engine takes over from one that has stopped renewing its lease, or "
        "that hears fewer hosts.",
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
        help="Seconds that the creation of a secondary may take without progress before it is cancelled and "
        "tried again.",
    ),
    cfg.IntOpt(
        "records_timeout",
        default=300,
        min=10,
        help="Seconds that the update of Nova's records after a failover may take before it is tried again.",
    ),
    cfg.FloatOpt(
        "fence_delay",
        default=10.0,
        min=0.0,
        help="Seconds to wait for the agent of a lost host before its nova-compute is forced down, so that "
        "Nova's records can be updated after a failover. The server itself has failed over before that.",
    ),
    cfg.IntOpt(
        "retry_interval",
        default=10,
        min=1,
        help="Seconds before a failed operation on a pair is repeated; doubled at each further failure, up "
        "to sixteenfold.",
    ),
    cfg.FloatOpt(
        "repair_interval",
        default=60.0,
        min=1.0,
        help="Seconds between two comparisons of the secondaries' reservations in Placement with the pairs.",
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
        help="Days that the times of existence of secondaries are kept for usage reports.",
    ),
    cfg.IntOpt(
        "max_workers",
        default=16,
        min=1,
        help="Number of operations that run at the same time, in each pool of threads.",
    ),
    cfg.IntOpt(
        "max_protects_per_hour",
        default=60,
        min=1,
        help="Number of times within an hour that a secondary of one server is created or moved. Each time "
        "its disks and memory are copied, and its users could request that again and again. The filter in "
        "nova-api must have the same value.",
    ),
    cfg.IntOpt(
        "max_copies_per_host",
        default=4,
        min=1,
        help="Number of servers whose disks and memory are copied from or to a host at the same time, from "
        "which on further servers that run on it wait for their turn to get a secondary. So the copies after "
        "the death of a host do not delay the checkpoints of the pairs that are left.",
    ),
    cfg.StrOpt(
        "signing_key_file",
        help="PEM file with an Ed25519 private key, readable by the engine's user only, with which requests "
        "to agents are signed. Required once agents have engine_keys_file.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options on conf."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list:
    """Return the options for oslo-config-generator."""
    return [(GROUP, OPTS)]
