# SPDX-License-Identifier: Apache-2.0
"""Errors of the client beyond those of novaclient."""

from novaclient import exceptions


class FaultToleranceNotSupported(exceptions.NotFound):
    """The cloud's compute API has no fault tolerance.

    :ivar endpoint: the compute endpoint that was asked.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        super().__init__(
            404,
            f"This cloud's compute API has no fault tolerance: the nova-colo API filter is not installed at {endpoint}.",
        )

    def __str__(self) -> str:
        # One line for people; the HTTP code behind it says nothing to them.
        return self.message
