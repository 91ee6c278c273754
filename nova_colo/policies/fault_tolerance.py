# SPDX-License-Identifier: Apache-2.0
"""Rules of reading."""

from oslo_policy import policy

from nova_colo.policies import base

ROOT = "os_compute_api:os-fault-tolerance"
DISCOVER = f"{ROOT}:discover"
INDEX = f"{ROOT}:index"
INDEX_ALL = f"{ROOT}:index:all_tenants"
SHOW = f"{ROOT}:show"
HOSTS = f"{ROOT}:hosts"

_LIST: policy.Operation = {"method": "GET", "path": "/os-fault-tolerance/servers"}
_SHOW: policy.Operation = {"method": "GET", "path": "/servers/{server_id}/os-fault-tolerance"}
_SERVER: policy.Operation = {"method": "GET", "path": "/servers/{server_id}"}


def list_rules() -> list[policy.RuleDefault]:
    """Return the rules."""
    return [
        policy.DocumentedRuleDefault(
            name=DISCOVER,
            check_str="@",
            description="See that this cloud has fault tolerance and what it can do.",
            operations=[{"method": "GET", "path": "/os-fault-tolerance"}],
            scope_types=["project"],
        ),
        policy.DocumentedRuleDefault(
            name=INDEX,
            check_str=base.PROJECT_READER_OR_ADMIN,
            description="List the FT servers of one's project.",
            operations=[_LIST],
            scope_types=["project"],
        ),
        policy.DocumentedRuleDefault(
            name=INDEX_ALL,
            check_str=base.ADMIN,
            description="List the FT servers of all projects.",
            operations=[_LIST],
            scope_types=["project"],
        ),
        policy.DocumentedRuleDefault(
            name=SHOW,
            check_str=base.PROJECT_READER_OR_ADMIN,
            description="Show the fault tolerance of a server.",
            operations=[_SHOW],
            scope_types=["project"],
        ),
        policy.DocumentedRuleDefault(
            name=HOSTS,
            check_str=base.ADMIN,
            description="See on which hosts primaries and secondaries run, and secondaries as servers.",
            operations=[_LIST, _SHOW, _SERVER],
            scope_types=["project"],
        ),
    ]
