# SPDX-License-Identifier: Apache-2.0
"""Find and reserve capacity for secondaries. Each reservation is a consumer of its own in Placement."""

from collections.abc import Collection, Mapping
from typing import Any

from nova_colo.db import Database, listing
from nova_colo.db.models import Pair
from nova_colo.engine.clients.nova import NovaClient
from nova_colo.engine.clients.placement import PlacementClient
from nova_colo.engine.errors import NoCapacityError
from nova_colo.engine.host_tracker import HostTracker
from nova_colo.pair import host_selection
from nova_colo.pair.host_selection import Size


def size_of(row: Pair) -> Size:
    """Return the resources of a pair's server."""
    return Size(row.vcpus, row.memory_mb, row.disk_gb)


class Capacity:
    """Reserves capacity for secondaries in Placement."""

    def __init__(self, database: Database, nova: NovaClient, client: PlacementClient, tracker: HostTracker):
        self._database = database
        self._nova = nova
        self._placement = client
        self._tracker = tracker

    def reserve(self, row: Pair) -> str:
        """Reserve capacity for the secondary of a pair that has none, and return the host.

        A host that is reserved for the pair already is preferred.

        :raises NoCapacityError: when no host has capacity
        """
        reserved = row.reserved_host
        if (
            reserved
            and reserved != row.primary_host
            and self._usable([reserved], self._nova.compute_services())
            and self.reserve_on(row, reserved)
        ):
            return reserved
        # a reservation left by an interrupted attempt would hide the capacity that is needed now
        self._placement.release(row.secondary_id)
        return self._find(row, holding=[], only=None)

    def reserve_additional(self, row: Pair, only: str | None) -> str:
        """Reserve capacity for a new secondary in addition to the present one's, and return the host.

        :param only: the requested host; None for any
        :raises NoCapacityError: when no host has capacity
        """
        return self._find(row, holding=[row.secondary_host or ""], only=only)

    def reserve_on(self, row: Pair, host: str) -> bool:
        """Reserve capacity on one host and release any other reservation.

        :returns: False when the host has no capacity
        """
        provider = self._nova.providers().get(host)
        resources = host_selection.secondary_resources(size_of(row))
        return provider is not None and self._placement.reserve(row.secondary_id, {provider: resources})

    def _find(self, row: Pair, holding: Collection[str], only: str | None) -> str:
        size = size_of(row)
        resources = host_selection.secondary_resources(size)
        providers = self._nova.providers()
        hosts = {uuid: host for host, uuid in providers.items()}
        candidates = [
            hosts[uuid]
            for uuid in self._placement.candidates(resources, self._required(row))
            if uuid in hosts
        ]
        services = self._nova.compute_services()
        zones = {host: service["zone"] for host, service in services.items()}
        eligible = {host for host in candidates if zones.get(host) == zones.get(row.primary_host)} - set(
            holding
        )
        if only is not None:
            eligible &= {only}
        usable = self._usable(eligible, services)
        held = {providers[host]: resources for host in holding if host in providers}
        for host in host_selection.rank_hosts(
            eligible, row.primary_host, usable, self._secondaries(), row.previous_host
        ):
            if self._placement.reserve(row.secondary_id, held | {providers[host]: resources}):
                return host
        raise NoCapacityError(host_selection.no_host_reason(size, eligible, row.primary_host, only))

    def _usable(self, hosts: Collection[str], services: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """Return the hosts that can run a replica, and to which Nova could move the server's records.

        :param services: Nova's records of the nova-compute services, by host
        """
        return [
            host
            for host in hosts
            if self._tracker.usable(host) and not services.get(host, {}).get("forced_down")
        ]

    def _required(self, row: Pair) -> list[str]:
        server = self._nova.server(row.server_id)
        return host_selection.required_traits(server.extra_specs if server else {})

    def _secondaries(self) -> dict[str, int]:
        with self._database.reader() as session:
            _, secondaries = listing.load_by_host(session)
        return {host: count for host, (count, _) in secondaries.items()}
