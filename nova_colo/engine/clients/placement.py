# SPDX-License-Identifier: Apache-2.0
"""Client of Placement's public REST API. A secondary's reservation is a consumer of its own."""

from collections.abc import Collection
from typing import Any

import tenacity
from oslo_config import cfg

from nova_colo.engine.clients.base import RestClient
from nova_colo.engine.errors import ServiceError

MICROVERSION = "1.38"
#: The microversion with which Nova writes its servers' allocations.
NOVA_MICROVERSION = "1.36"
CONSUMER_TYPE = "COLO_SECONDARY"
#: Placement's error code of a conflict that is no lack of capacity.
CONCURRENT = "placement.concurrent_update"


class PlacementClient(RestClient):
    """The placement API."""

    def __init__(self, conf: cfg.ConfigOpts):
        super().__init__(conf, "placement", MICROVERSION)

    def candidates(self, resources: dict[str, int], required: list[str]) -> list[str]:
        """Return the uuids of resource providers that have capacity for the given amounts.

        :param required: traits; an exclamation mark before one forbids it
        """
        wanted = ",".join(f"{name}:{amount}" for name, amount in sorted(resources.items()))
        body = self.get("/allocation_candidates", resources=wanted, required=",".join(required))
        return list(body["provider_summaries"])

    def reserve(self, consumer: str, amounts: dict[str, dict[str, int]]) -> bool:
        """Replace a consumer's reservation atomically.

        :param amounts: resources by the uuid of their provider
        :returns: False when there is no capacity any more
        """
        try:
            for attempt in self._retrying():
                with attempt:
                    self._put(consumer, amounts)
        except ServiceError as error:
            if error.status == 409 and error.code != CONCURRENT:
                return False
            raise
        return True

    def _retrying(self) -> tenacity.Retrying:
        """Return the retries after concurrent updates: Placement itself gives up after ten attempts."""
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(
                lambda error: isinstance(error, ServiceError) and error.code == CONCURRENT
            ),
            wait=tenacity.wait_random(0.1, 1.0),
            stop=tenacity.stop_after_attempt(10),
            reraise=True,
        )

    def _put(self, consumer: str, amounts: dict[str, dict[str, int]]) -> None:
        generation = self.get(f"/allocations/{consumer}").get("consumer_generation")
        body: dict[str, Any] = {
            "allocations": {provider: {"resources": resources} for provider, resources in amounts.items()},
            # the service project: otherwise a secondary would count against the quota of its server's project
            "project_id": self.adapter.get_project_id(),
            "user_id": self.adapter.get_user_id(),
            "consumer_generation": generation,
            "consumer_type": CONSUMER_TYPE,
        }
        self.request("PUT", f"/allocations/{consumer}", json=body)

    def allocations_on(self, provider: str) -> dict[str, dict[str, int]]:
        """Return the resources of each consumer on a provider; empty when the provider does not exist."""
        try:
            body = self.get(f"/resource_providers/{provider}/allocations")
        except ServiceError as error:
            if error.status == 404:
                return {}
            raise
        return {consumer: allocation["resources"] for consumer, allocation in body["allocations"].items()}

    def is_secondary(self, consumer: str) -> bool:
        """Return whether a consumer is the reservation of a secondary."""
        return self.get(f"/allocations/{consumer}").get("consumer_type") == CONSUMER_TYPE

    def remove_allocations(self, server_id: str, providers: Collection[str]) -> None:
        """Remove a server's own allocations on the given providers.

        :raises ServiceError: 409 when they were changed concurrently
        """
        body = self._allocations(server_id)
        held = body["allocations"]
        kept = {provider: each for provider, each in held.items() if provider not in providers}
        if kept and len(kept) < len(held):
            json = body | {"allocations": kept}
            self.request("PUT", f"/allocations/{server_id}", json=json, microversion=NOVA_MICROVERSION)

    def has_allocation(self, consumer: str, provider: str) -> bool:
        """Return whether a consumer has an allocation on a provider."""
        return provider in self._allocations(consumer)["allocations"]

    def return_allocation(self, server_id: str, provider: str, migrations: Collection[str]) -> None:
        """Return to a server its allocation that a failed live migration holds.

        Delete all other allocations of its migrations.

        Nova moves a server's allocation to the migration before it claims resources on the target, and moves
        it back when the migration fails (nova.conductor.tasks.migrate). A nova-compute that ends in between
        does not, and each further forced move then fails with a KeyError in claim_resources_on_destination.

        :param provider: uuid of the provider of the server's host
        :param migrations: uuids of the server's ended migrations, which are consumers
        :raises ServiceError: 409 when one of the allocations was changed concurrently
        """
        holders = set(migrations) & set(self.allocations_on(provider))
        if not holders:
            return
        bodies = {consumer: self._allocations(consumer) for consumer in sorted(holders)}
        returned = self._allocations(server_id) | {"allocations": next(iter(bodies.values()))["allocations"]}
        emptied = {consumer: body | {"allocations": {}} for consumer, body in bodies.items()}
        self.request(
            "POST", "/allocations", json=emptied | {server_id: returned}, microversion=NOVA_MICROVERSION
        )

    def _allocations(self, consumer: str) -> dict[str, Any]:
        """Return a consumer's allocations as they can be written again with Nova's microversion."""
        body = self.request("GET", f"/allocations/{consumer}", microversion=NOVA_MICROVERSION).json()
        held = {provider: {"resources": each["resources"]} for provider, each in body["allocations"].items()}
        same = ("project_id", "user_id", "consumer_generation")
        return {name: body[name] for name in same if name in body} | {"allocations": held}

    def release(self, consumer: str) -> None:
        """Delete a reservation; no error when there is none."""
        try:
            self.request("DELETE", f"/allocations/{consumer}")
        except ServiceError as error:
            if error.status != 404:
                raise
