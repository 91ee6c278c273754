# SPDX-License-Identifier: Apache-2.0
"""A whole OpenStack on one machine; every service is a process on loopback.

From a shell: ``python3 -m lab up``. From Python, in the lab's virtual environment::

    from lab import Lab

    lab = Lab(prefix)
    lab.up(hosts=3)
    lab.host("compute-a").kill()
    lab.down()

Importing this package needs the standard library only; :class:`lab.cloud.lab.Lab` is loaded on first access.
"""

from typing import TYPE_CHECKING, Any

from lab.core.errors import LabError, RefusalError

if TYPE_CHECKING:
    from lab.cloud.lab import Lab

__all__ = ["Lab", "LabError", "RefusalError"]


def __getattr__(name: str) -> Any:
    if name == "Lab":
        from lab.cloud.lab import Lab

        return Lab
    raise AttributeError(f"module 'lab' has no attribute {name!r}")
