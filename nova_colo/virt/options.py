# SPDX-License-Identifier: Apache-2.0
"""Options of nova-compute, read from nova.conf."""

from oslo_config import cfg

GROUP = "colo"
OPTS = [
    cfg.StrOpt(
        "agent_state_path",
        default="/var/lib/nova-colo",
        help="The state_path of this host's nova-colo-agent, from which the driver reads this host's role "
        "for each FT server.",
    ),
    cfg.StrOpt(
        "simulated_directory",
        default="/run/nova-colo-simulated",
        help="With compute_driver = colo.ColoFakeDriver: the [simulated] directory of the agents.",
    ),
    cfg.BoolOpt(
        "strict",
        default=False,
        help="Build an FT server only if capacity for its secondary can be reserved. If no host has "
        "capacity, or no engine answers, the build fails with the reason. Without this option the server "
        "runs unprotected until a host has capacity.",
    ),
    cfg.FloatOpt(
        "leave_timeout",
        default=60.0,
        min=1.0,
        help="Seconds that the engine may take to remove the secondary of an FT server that is to be "
        "rebooted, stopped, rebuilt or changed. If it takes longer, nothing is changed and the request "
        "fails, since the secondary could take over meanwhile.",
    ),
    cfg.FloatOpt(
        "reservation_timeout",
        default=30.0,
        min=1.0,
        help="With strict: seconds that an engine may take to reserve the capacity.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options on Nova's conf."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list:
    """Return the options as oslo-config-generator wants them."""
    return [(GROUP, OPTS)]
