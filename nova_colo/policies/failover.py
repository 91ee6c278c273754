# SPDX-License-Identifier: Apache-2.0
"""Rules of the failover action."""

from oslo_policy import policy

from nova_colo.policies import base
from nova_colo.policies.fault_tolerance import ROOT

FAILOVER = f"{ROOT}:failover"
FORCE = f"{ROOT}:failover:force"

_ACTION: policy.Operation = {"method": "POST", "path": "/servers/{server_id}/action (failover)"}


def list_rules() -> list[policy.RuleDefault]:
    """Return the rules."""
    return [
        policy.DocumentedRuleDefault(
            name=FAILOVER,
            check_str=base.PROJECT_MANAGER_OR_ADMIN,
            description="Fail a server over to its secondary.",
            operations=[_ACTION],
            scope_types=["project"],
        ),
        policy.DocumentedRuleDefault(
            name=FORCE,
            check_str=base.ADMIN,
            description="Fail a server over although its pair is not healthy.",
            operations=[_ACTION],
            scope_types=["project"],
        ),
    ]
