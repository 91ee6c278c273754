# SPDX-License-Identifier: Apache-2.0
"""The rule of events."""

from oslo_policy import policy

from nova_colo.policies import base

INDEX = f"{base.ROOT}:events"


def list_rules() -> list[policy.RuleDefault]:
    """Return the rules."""
    return [
        base.rule(
            INDEX,
            base.PROJECT_READER_OR_ADMIN,
            "See what has happened to the fault tolerance of a server.",
            ("GET", "/servers/{server_id}/os-fault-tolerance/events"),
        )
    ]
