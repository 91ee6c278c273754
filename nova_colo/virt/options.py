# SPDX-License-Identifier: Apache-2.0
"""Options of nova-compute, read from nova.conf."""

from oslo_config import cfg

GROUP = "colo"
OPTS = [
    cfg.StrOpt(
        "agent_state_path",
        default="/var/lib/nova-colo",
        help="The state_path of this host's nova-colo-agent, where the driver reads the role of this host for each FT server.",
    ),
    cfg.StrOpt(
        "simulated_directory",
        default="/run/nova-colo-simulated",
        help="With compute_driver = colo.ColoFakeDriver: the [simulated] directory of the agents.",
    ),
    cfg.BoolOpt(
        "strict",
        default=False,
        help="Build an FT server only when there is room for its secondary. When there is none, or no engine answers, the build "
        "fails and says why. Otherwise the server runs unprotected until there is room.",
    ),
    cfg.FloatOpt(
        "leave_timeout",
        default=60.0,
        min=1.0,
        help="Seconds that the engine may take to give up the secondary of an FT server that is to be rebooted, stopped or "
        "rebuilt. When it takes longer nothing is done and the request fails: the secondary might take over at the same time.",
    ),
    cfg.FloatOpt(
        "reservation_timeout",
        default=30.0,
        min=1.0,
        help="With strict: seconds that an engine may take to reserve the room.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options on Nova's conf."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list:
    """Return the options as oslo-config-generator wants them."""
    return [(GROUP, OPTS)]
