# SPDX-License-Identifier: Apache-2.0
"""The rule of checkpoint history."""

from oslo_policy import policy

from nova_colo.policies import base

INDEX = f"{base.ROOT}:checkpoints"


def list_rules() -> list[policy.RuleDefault]:
    """Return the rules."""
    return [
        base.rule(
            INDEX,
            base.PROJECT_READER_OR_ADMIN,
            "See when a server had checkpoints, of which causes, and how long it was paused for them.",
            ("GET", "/servers/{server_id}/os-fault-tolerance/checkpoints"),
        )
    ]
