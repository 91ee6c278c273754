# SPDX-License-Identifier: Apache-2.0
"""Rules that other rules refer to, with Nova's names, so that a cloud's overrides apply."""

from oslo_policy import policy

#: Prefix of all rules of fault tolerance.
ROOT = "os_compute_api:os-fault-tolerance"

CONTEXT_IS_ADMIN = "context_is_admin"
ANYBODY = "@"
ADMIN = f"rule:{CONTEXT_IS_ADMIN}"
PROJECT_MANAGER_OR_ADMIN = "rule:project_manager_or_admin"
PROJECT_MEMBER_OR_ADMIN = "rule:project_member_or_admin"
PROJECT_READER_OR_ADMIN = "rule:project_reader_or_admin"


def list_rules() -> list[policy.RuleDefault]:
    """Return the rules."""
    return [
        policy.RuleDefault(
            CONTEXT_IS_ADMIN,
            "is_admin:True",
            "Who is an administrator of the cloud: those who are by this rule in Nova's own policy.",
        ),
        policy.RuleDefault(
            "project_manager_or_admin",
            "rule:context_is_admin or (role:manager and project_id:%(project_id)s)",
            "Managers of the server's project, and administrators.",
        ),
        policy.RuleDefault(
            "project_member_or_admin",
            "rule:context_is_admin or (role:member and project_id:%(project_id)s)",
            "Members of the server's project, and administrators.",
        ),
        policy.RuleDefault(
            "project_reader_or_admin",
            "rule:context_is_admin or (role:reader and project_id:%(project_id)s)",
            "Readers of the server's project, and administrators.",
        ),
    ]


def rule(
    name: str, check: str, description: str, *operations: tuple[str, str]
) -> policy.DocumentedRuleDefault:
    """Return a documented rule.

    :param check: the check string
    :param operations: method and path of each request that the rule governs
    """
    return policy.DocumentedRuleDefault(
        name=name,
        check_str=check,
        description=description,
        operations=[{"method": method, "path": path} for method, path in operations],
        scope_types=["project"],
    )
