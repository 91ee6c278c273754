# SPDX-License-Identifier: Apache-2.0
"""Exceptions of the lab. The command line prints their message and returns their exit code."""


class LabError(Exception):
    """An operation of the lab failed. The message is shown to the user."""

    exit_code = 1


class RefusalError(LabError):
    """The request is refused (wrong name, not root, missing package). Nothing was changed."""

    exit_code = 2


class NotUpError(LabError):
    """The lab is not up."""

    exit_code = 3
