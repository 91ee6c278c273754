# SPDX-License-Identifier: Apache-2.0
"""Finds room for secondaries and keeps it: reservations in placement, each a consumer of its own."""

from collections.abc import Collection, Mapping
from typing import Any

from nova_colo.db import Database, listing
from nova_colo.db.models import Pair
from nova_colo.engine.clients.nova import NovaClient
from nova_colo.engine.clients.placement import PlacementClient
from nova_colo.engine.errors import NoRoomError
from nova_colo.engine.host_tracker import HostView
from nova_colo.pair import host_selection
from nova_colo.pair.host_selection import Size


def size_of(row: Pair) -> Size:
    """Return the resources of a pair's server."""
    return Size(row.vcpus, row.memory_mb, row.disk_gb)


class Room:
    """Where secondaries may go."""

    def __init__(self, database: Database, nova: NovaClient, client: PlacementClient, view: HostView):
        self._database = database
        self._nova = nova
        self._placement = client
        self._view = view

    def take(self, row: Pair) -> str:
        """Reserve room for the secondary of a pair that has none, at best where it has some already. Returns the host.

        :raises NoRoomError: when there is none
        """
        kept = row.reserved_host
        if (
            kept
            and kept != row.primary_host
            and self._usable([kept], self._nova.compute_services())
            and self.keep(row, kept)
        ):
            return kept
        # what an attempt that was cut off has reserved would hide the room that is needed now
        self._placement.release(row.secondary_id)
        return self._find(row, holding=[], only=None)

    def take_besides(self, row: Pair, only: str | None) -> str:
        """Reserve room for another secondary beside the present one's. Returns the host.

        :param only: the host that was asked for; None for any
        :raises NoRoomError: when there is none
        """
        return self._find(row, holding=[row.secondary_host or ""], only=only)

    def keep(self, row: Pair, host: str) -> bool:
        """Reserve room on a host, and nowhere else. Returns False when there is none."""
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
        room = {host for host in candidates if zones.get(host) == zones.get(row.primary_host)} - set(holding)
        if only is not None:
            room &= {only}
        usable = self._usable(room, services)
        held = {providers[host]: resources for host in holding if host in providers}
        for host in host_selection.rank_hosts(
            room, row.primary_host, usable, self._secondaries(), row.previous_host
        ):
            if self._placement.reserve(row.secondary_id, held | {providers[host]: resources}):
                return host
        raise NoRoomError(host_selection.no_host_reason(size, room, row.primary_host, only))

    def _usable(self, hosts: Collection[str], services: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """Return the hosts that can carry a replica, and to which Nova's records could follow.

        :param services: Nova's records of the nova-compute services, by host
        """
        return [
            host
            for host in hosts
            if self._view.usable(host) and not services.get(host, {}).get("forced_down")
        ]

    def _required(self, row: Pair) -> list[str]:
        server = self._nova.server(row.server_id)
        return host_selection.required_traits(server.extra_specs if server else {})

    def _secondaries(self) -> dict[str, int]:
        with self._database.reader() as session:
            _, secondaries = listing.load_by_host(session)
        return {host: count for host, (count, _) in secondaries.items()}
