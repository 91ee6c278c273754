# SPDX-License-Identifier: Apache-2.0
"""What can go wrong in an engine's work. Each error has a reason."""

from nova_colo.pair import reasons
from nova_colo.pair.reasons import Reason


class WorkflowError(Exception):
    """A workflow cannot go on.

    :ivar reason: why
    """

    def __init__(self, reason: Reason):
        super().__init__(reason)
        self.reason = reason


class OperationEndedError(Exception):
    """Another engine has ended the operation: there is nothing more to do about it, nor to undo."""


class AgentRefusalError(WorkflowError):
    """An agent answers, and will not do what it was asked: what it has of the server is not what was supposed."""


class NoRoomError(WorkflowError):
    """No host can carry a secondary; the reason says why and what to do."""


class ServiceError(WorkflowError):
    """A service of the cloud answered a request with an error, or not at all.

    :param status: HTTP status; 0 when there was no answer
    :param code: the service's own word for the error; empty when it has none
    """

    def __init__(self, service: str, status: int, message: str, code: str = ""):
        silent = reasons.SERVICE_SILENT(service=service)
        answered = reasons.SERVICE_ERROR(service=service, status_code=status, text=message)
        super().__init__(answered if status else silent)
        self.status = status
        self.code = code
