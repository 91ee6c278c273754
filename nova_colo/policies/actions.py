# SPDX-License-Identifier: Apache-2.0
"""Rules of the actions, one per action, and of arguments with rules of their own."""

from oslo_policy import policy

from nova_colo.pair import actions
from nova_colo.policies import base

FORCE = f"{base.ROOT}:failover:force"
MIGRATE_HOST = f"{base.ROOT}:migrate-secondary:host"

#: action -> check string and description
_ACTIONS = {
    actions.FAILOVER: (base.PROJECT_MANAGER_OR_ADMIN, "Fail a server over to its secondary."),
    actions.PROTECT: (
        base.PROJECT_MEMBER_OR_ADMIN,
        "Create the secondary of a running FT server that has none.",
    ),
    actions.UNPROTECT: (
        base.PROJECT_MEMBER_OR_ADMIN,
        "Remove the secondary of a server and release its reservation.",
    ),
    actions.SUSPEND: (
        base.PROJECT_MEMBER_OR_ADMIN,
        "Remove the secondary of a server for a while and keep its reservation.",
    ),
    actions.RESUME: (base.PROJECT_MEMBER_OR_ADMIN, "Create the secondary of a suspended server again."),
    actions.TEST_FAILOVER: (
        base.PROJECT_MANAGER_OR_ADMIN,
        "Fail a server over to see that it works, and back when asked.",
    ),
    actions.MIGRATE_SECONDARY: (
        base.PROJECT_MANAGER_OR_ADMIN,
        "Move the secondary of a server to another host.",
    ),
    actions.SET_MODE: (
        base.PROJECT_MEMBER_OR_ADMIN,
        "Set how a server's pair synchronises: colo, checkpoint or hybrid.",
    ),
}

#: action -> name of its rule
RULES = {action: f"{base.ROOT}:{action.removeprefix('ft-')}" for action in _ACTIONS}


def list_rules() -> list[policy.RuleDefault]:
    """Return the rules."""
    plain = [
        base.rule(RULES[action], who, what, _operation(action)) for action, (who, what) in _ACTIONS.items()
    ]
    return [
        *plain,
        base.rule(
            FORCE,
            base.ADMIN,
            "Fail a server over although its state is not protected.",
            _operation(f"{actions.FAILOVER} with force"),
        ),
        base.rule(
            MIGRATE_HOST,
            base.ADMIN,
            "Name the host that a secondary is to move to.",
            _operation(f"{actions.MIGRATE_SECONDARY} with host"),
        ),
    ]


def _operation(what: str) -> tuple[str, str]:
    return "POST", f"/servers/{{server_id}}/action ({what})"
