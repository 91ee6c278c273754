# SPDX-License-Identifier: Apache-2.0
"""Rules of discovery, list and show."""

from oslo_policy import policy

from nova_colo.policies import base

DISCOVER = f"{base.ROOT}:discover"
INDEX = f"{base.ROOT}:index"
INDEX_ALL = f"{base.ROOT}:index:all_tenants"
SHOW = f"{base.ROOT}:show"

_LIST = ("GET", "/os-fault-tolerance/servers")


def list_rules() -> list[policy.RuleDefault]:
    """Return the rules."""
    return [
        base.rule(
            DISCOVER,
            base.ANYBODY,
            "See that this cloud has fault tolerance and what it can do.",
            ("GET", "/os-fault-tolerance"),
        ),
        base.rule(INDEX, base.PROJECT_READER_OR_ADMIN, "List the FT servers of one's project.", _LIST),
        base.rule(INDEX_ALL, base.ADMIN, "List the FT servers of all projects, or of another one.", _LIST),
        base.rule(
            SHOW,
            base.PROJECT_READER_OR_ADMIN,
            "Show the fault tolerance of a server.",
            ("GET", "/servers/{server_id}/os-fault-tolerance"),
        ),
    ]
