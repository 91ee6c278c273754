# SPDX-License-Identifier: Apache-2.0
"""The scheduler filter that requires two hosts for a new FT server.

It must be the last of [filter_scheduler] enabled_filters: it only checks how many hosts the other filters
have passed. Whether another host has capacity for the secondary, which needs twice the RAM, is decided by
Placement when the engine reserves it.
"""

import collections
from collections.abc import Iterable
from typing import Any

from nova.scheduler import filters, utils
from oslo_log import log as logging

from nova_colo.pair.model import is_fault_tolerant

LOG = logging.getLogger(__name__)


class ColoPairFilter(filters.BaseHostFilter):
    """Pass the hosts of cells with at least two hosts: primary and secondary must be in the same cell."""

    def filter_all(self, filter_obj_list: Iterable[Any], spec_obj: Any) -> list[Any]:
        """Return the hosts on which the server may be built; all of them unless it is a new FT server.

        :param filter_obj_list: the hosts that the previous filters have passed, as
            nova.scheduler.host_manager.HostState
        :param spec_obj: nova.objects.RequestSpec
        """
        hosts = list(filter_obj_list)
        if not _is_new_pair(spec_obj):
            return hosts
        per_cell = collections.Counter(host.cell_uuid for host in hosts)
        passed = [host for host in hosts if per_cell[host.cell_uuid] >= 2]
        if hosts and not passed:
            names = ", ".join(sorted(host.host for host in hosts))
            LOG.warning(
                "No valid host for server %s: its flavor %s is fault tolerant (ft:enabled), so it needs "
                "two hosts of one cell, and the other filters have left only %s. Add, enable or free another "
                "host.",
                spec_obj.instance_uuid,
                spec_obj.flavor.name,
                names,
            )
        return passed


def _is_new_pair(spec: Any) -> bool:
    """Return whether a request is for a new FT server whose host the scheduler chooses."""
    if not is_fault_tolerant(
        {"extra_specs": spec.flavor.extra_specs if "extra_specs" in spec.flavor else {}}
    ):
        return False
    if utils.request_is_rebuild(spec):
        return False  # it stays on its host
    destination = spec.requested_destination if "requested_destination" in spec else None
    if destination is not None and "host" in destination and destination.host:
        # the host was requested, and the list has only that host; forced hosts are not filtered at all
        return False
    # a move away from a host: a server that runs unprotected is better than none
    return not ("ignore_hosts" in spec and spec.ignore_hosts)
