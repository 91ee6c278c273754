# SPDX-License-Identifier: Apache-2.0
"""Rules of hosts: to see their names, and to list them."""

from oslo_policy import policy

from nova_colo.policies import base

NAMES = f"{base.ROOT}:hosts"
INDEX = f"{base.ROOT}:hosts:index"


def list_rules() -> list[policy.RuleDefault]:
    """Return the rules."""
    return [
        base.rule(
            NAMES,
            base.ADMIN,
            "See on which hosts primaries and secondaries run, filter and sort by them, "
            "and see secondaries as servers.",
            ("GET", "/os-fault-tolerance/servers"),
            ("GET", "/servers/{server_id}/os-fault-tolerance"),
            ("GET", "/servers/{server_id}/os-fault-tolerance/events"),
            ("GET", "/servers/{server_id}"),
        ),
        base.rule(
            INDEX,
            base.ADMIN,
            "List the hosts that carry pairs, with their agents, versions and reserved memory.",
            ("GET", "/os-fault-tolerance/hosts"),
        ),
    ]
