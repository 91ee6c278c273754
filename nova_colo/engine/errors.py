# SPDX-License-Identifier: Apache-2.0
"""What can go wrong in an engine's work, in words for people; host names in them are marked."""


class WorkflowError(Exception):
    """A workflow cannot go on; the message says why."""


class OperationEndedError(Exception):
    """Another engine has ended the operation: there is nothing more to do about it, nor to undo."""


class AgentRefusalError(WorkflowError):
    """An agent answers, and will not do what it was asked: what it has of the server is not what was supposed."""


class NoRoomError(WorkflowError):
    """No host can carry a secondary; the message says why and what to do."""


class ServiceError(WorkflowError):
    """A service of the cloud answered a request with an error, or not at all.

    :param status: HTTP status; 0 when there was no answer
    :param code: the service's own word for the error; empty when it has none
    """

    def __init__(self, service: str, status: int, message: str, code: str = ""):
        super().__init__(f"{service} answered {status}: {message}" if status else f"{service} does not answer.")
        self.status = status
        self.code = code
