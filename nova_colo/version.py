# SPDX-License-Identifier: Apache-2.0
"""Version of the installed distribution."""

import importlib.metadata


def release() -> str:
    """Return the version, ``unknown`` when the package runs uninstalled."""
    try:
        return importlib.metadata.version("colo-dashboard")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
