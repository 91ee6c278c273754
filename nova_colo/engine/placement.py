# SPDX-License-Identifier: Apache-2.0
"""Placement's public REST API, as far as the engine needs it: a secondary's reservation is a consumer of its own."""

from typing import Any

from oslo_config import cfg

from nova_colo.engine.rest import RestClient, ServiceError

MICROVERSION = "1.38"
CONSUMER_TYPE = "COLO_SECONDARY"


class PlacementClient(RestClient):
    """The placement API."""

    def __init__(self, conf: cfg.ConfigOpts):
        super().__init__(conf, "placement", MICROVERSION)

    def candidates(self, resources: dict[str, int]) -> list[str]:
        """Return the uuids of enabled resource providers that have room for the given amounts."""
        wanted = ",".join(f"{name}:{amount}" for name, amount in sorted(resources.items()))
        body = self.get("/allocation_candidates", resources=wanted, required="!COMPUTE_STATUS_DISABLED")
        return list(body["provider_summaries"])

    def reserve(self, consumer: str, provider: str, resources: dict[str, int]) -> bool:
        """Reserve amounts on a provider; what the consumer had before is replaced.

        :returns: False when there is no room any more
        """
        generation = self.get(f"/allocations/{consumer}").get("consumer_generation")
        body: dict[str, Any] = {
            "allocations": {provider: {"resources": resources}},
            # in the service project: else secondaries would count against the quota of their servers' project
            "project_id": self.adapter.get_project_id(),
            "user_id": self.adapter.get_user_id(),
            "consumer_generation": generation,
            "consumer_type": CONSUMER_TYPE,
        }
        try:
            self.request("PUT", f"/allocations/{consumer}", json=body)
        except ServiceError as error:
            if error.status == 409:
                return False
            raise
        return True

    def release(self, consumer: str) -> None:
        """Give a reservation back; no error when there is none."""
        try:
            self.request("DELETE", f"/allocations/{consumer}")
        except ServiceError as error:
            if error.status != 404:
                raise
