# SPDX-License-Identifier: Apache-2.0
"""The rights of a caller by policy."""

import dataclasses
from typing import Any

from nova.api.openstack import wsgi

from nova_colo.api.service import Service
from nova_colo.db.models import Pair
from nova_colo.policies import actions, hosts


@dataclasses.dataclass(frozen=True)
class Rights:
    """The rights of a caller on a pair.

    :param hosts: to see the pair's hosts
    :param actions: the names of the actions that the caller's role allows
    """

    hosts: bool
    actions: frozenset[str]


class Caller:
    """The caller of one request. Rights are checked once per owner of servers, not per server."""

    def __init__(self, service: Service, request: wsgi.Request):
        self._enforcer = service.enforcer
        self._credentials: dict[str, Any] = request.environ["nova.context"].to_policy_values()
        self._rights: dict[tuple[str, str], Rights] = {}

    def may(self, rule: str, target: dict[str, Any]) -> bool:
        """Return whether a policy rule allows the caller to act on a target."""
        return bool(self._enforcer.authorize(rule, target, self._credentials))

    def rights(self, row: Pair) -> Rights:
        """Return the caller's rights on a pair."""
        owner = (row.project_id, row.user_id)
        if owner not in self._rights:
            target = {"project_id": row.project_id, "user_id": row.user_id}
            allowed = frozenset(action for action, rule in actions.RULES.items() if self.may(rule, target))
            self._rights[owner] = Rights(self.may(hosts.NAMES, target), allowed)
        return self._rights[owner]
