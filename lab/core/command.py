# SPDX-License-Identifier: Apache-2.0
"""Run one command and wait for it."""

import subprocess

from lab.core.errors import LabError


def run(*argv: str) -> str:
    """Run a command and return its output.

    :raises LabError: the command failed; has its stderr
    """
    result = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if result.returncode:
        raise LabError(f"'{' '.join(argv)}' ended with {result.returncode}: {result.stderr.strip()}")
    return result.stdout
