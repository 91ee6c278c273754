# SPDX-License-Identifier: Apache-2.0
"""Errors of the client beyond those of novaclient, each one of novaclient's too."""

from typing import Any

from novaclient import exceptions


class _OneLineMixin:
    """One line for people; the HTTP code behind it says nothing to them."""

    message: str

    def __str__(self) -> str:
        return self.message


class FaultToleranceNotSupported(_OneLineMixin, exceptions.NotFound):
    """The cloud's compute API has no fault tolerance.

    :ivar endpoint: the compute endpoint that was asked
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        super().__init__(
            404,
            f"This cloud's compute API has no fault tolerance: the nova-colo API filter is not installed at {endpoint}.",
        )


class ActionNotSupported(_OneLineMixin, exceptions.BadRequest):
    """The cloud has fault tolerance, of a release that does not know what was asked for.

    :ivar action: the action's name on the wire
    """

    def __init__(self, action: str, endpoint: str) -> None:
        self.action = action
        super().__init__(
            400,
            f"The cloud at {endpoint} does not know {action}: its nova-colo is older than this client. Ask for an upgrade.",
        )


class NotFaultTolerant(_OneLineMixin, exceptions.BadRequest):
    """The server is no FT server. The message says how to make one."""


class NoHealthySecondary(_OneLineMixin, exceptions.Conflict):
    """There is no healthy secondary to fail over to. The message says what to do instead."""


class WaitTimeoutError(Exception):
    """A pair has not come to a state in time; what was asked for goes on.

    :ivar pair: the last that was seen, a :class:`~novaclient_colo.fault_tolerance.FaultTolerance`
    """

    def __init__(self, pair: Any, message: str) -> None:
        self.pair = pair
        super().__init__(message)


class WaitFailedError(Exception):
    """What was asked for has failed; the message is the pair's reason.

    :ivar pair: the last that was seen, a :class:`~novaclient_colo.fault_tolerance.FaultTolerance`
    """

    def __init__(self, pair: Any, message: str) -> None:
        self.pair = pair
        super().__init__(message)
