# SPDX-License-Identifier: Apache-2.0
"""Version of the installed distribution."""

import functools
import importlib.metadata


@functools.cache  # each heartbeat has it
def release() -> str:
    """Return the version, ``unknown`` when the package runs uninstalled."""
    try:
        return importlib.metadata.version("colo-dashboard")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
