# SPDX-License-Identifier: Apache-2.0
"""Policy rules, by oslo.policy: one DocumentedRuleDefault per operation."""

import itertools

from oslo_config import cfg
from oslo_policy import policy

from nova_colo.policies import actions, base, checkpoints, events, fault_tolerance, hosts

_PARTS = (base, fault_tolerance, checkpoints, events, hosts, actions)


def list_rules() -> list[policy.RuleDefault]:
    """Return all rules, for oslopolicy-sample-generator."""
    return list(itertools.chain.from_iterable(part.list_rules() for part in _PARTS))


def list_dashboard_rules() -> list[policy.RuleDefault]:
    """Return all rules as Horizon can check them: it does not know whom Nova takes for an administrator."""
    admin = policy.RuleDefault(base.CONTEXT_IS_ADMIN, "role:admin", "Who is an administrator of the cloud.")
    return [admin if rule.name == base.CONTEXT_IS_ADMIN else rule for rule in list_rules()]


def enforcer(conf: cfg.ConfigOpts) -> policy.Enforcer:
    """Return an enforcer of the rules, with the overrides of conf's [oslo_policy] policy_file."""
    result = policy.Enforcer(conf)
    result.register_defaults(list_rules())
    return result


def get_enforcer() -> policy.Enforcer:
    """Return an enforcer on oslo.config's global options, for the oslopolicy commands."""
    cfg.CONF([], project="nova-colo")
    return enforcer(cfg.CONF)
