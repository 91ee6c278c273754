# SPDX-License-Identifier: Apache-2.0
"""Errors of the engine."""

from nova_colo.pair import reasons
from nova_colo.pair.reasons import Reason


class WorkflowError(Exception):
    """A workflow cannot continue.

    :ivar reason: why
    """

    def __init__(self, reason: Reason):
        super().__init__(reason)
        self.reason = reason


class OperationEndedError(Exception):
    """Another engine has ended the operation: there is nothing left to do, and nothing to roll back."""


class AgentRefusalError(WorkflowError):
    """An agent refused a request: its replica of the server is not in the expected state."""


class NoCapacityError(WorkflowError):
    """No host has capacity for a secondary. The reason has the cause and the remedy."""


class ServiceError(WorkflowError):
    """A service of the cloud answered a request with an error, or did not answer.

    :param status: HTTP status; 0 when there was no answer
    :param code: the service's own code of the error; empty when it has none
    """

    def __init__(self, service: str, status: int, message: str, code: str = ""):
        silent = reasons.SERVICE_SILENT(service=service)
        answered = reasons.SERVICE_ERROR(service=service, status_code=status, text=message)
        super().__init__(answered if status else silent)
        self.status = status
        self.code = code
