# SPDX-License-Identifier: Apache-2.0
"""What the lab raises; the command line turns it into one message and an exit code."""


class LabError(Exception):
    """Something did not work. The message is meant for the person who started the lab."""

    exit_code = 1


class RefusalError(LabError):
    """The request cannot be served as asked (wrong name, not root, missing package): nothing was changed."""

    exit_code = 2


class NotUpError(LabError):
    """The lab is not up."""

    exit_code = 3
