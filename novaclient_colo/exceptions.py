# SPDX-License-Identifier: Apache-2.0
"""Errors of the client; those of requests are subclasses of novaclient's."""

from typing import Any

from novaclient import exceptions


class _OneLineMixin:
    """Show the message only, without novaclient's HTTP code."""

    message: str

    def __str__(self) -> str:
        return self.message


class FaultToleranceNotSupported(_OneLineMixin, exceptions.NotFound):
    """The cloud's compute API has no fault tolerance.

    :ivar endpoint: the compute endpoint
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        super().__init__(
            404,
            "This cloud's compute API has no fault tolerance: "
            f"the nova-colo API filter is not installed at {endpoint}.",
        )


class ActionNotSupported(_OneLineMixin, exceptions.BadRequest):
    """The cloud's release of fault tolerance does not have the requested action.

    :ivar action: the action's name in the API
    """

    def __init__(self, action: str, endpoint: str) -> None:
        self.action = action
        super().__init__(
            400,
            f"The cloud at {endpoint} does not support {action}: its nova-colo is older than this client. "
            "Ask for an upgrade.",
        )


class NotFaultTolerant(_OneLineMixin, exceptions.BadRequest):
    """The server is not an FT server. The message has the remedy."""


class NoHealthySecondary(_OneLineMixin, exceptions.Conflict):
    """There is no healthy secondary to fail over to. The message has the remedy."""


class WaitTimeoutError(Exception):
    """A pair did not reach a state in time; the requested operation continues.

    :ivar pair: the pair at the last poll, a :class:`~novaclient_colo.fault_tolerance.FaultTolerance`
    """

    def __init__(self, pair: Any, message: str) -> None:
        self.pair = pair
        super().__init__(message)


class WaitFailedError(Exception):
    """The requested operation has failed; the message has the pair's reason.

    :ivar pair: the pair at the last poll, a :class:`~novaclient_colo.fault_tolerance.FaultTolerance`
    """

    def __init__(self, pair: Any, message: str) -> None:
        self.pair = pair
        super().__init__(message)
