# SPDX-License-Identifier: Apache-2.0
"""Show the services' logs. Standard library only."""

import subprocess
from collections.abc import Sequence

from lab.core.errors import RefusalError
from lab.core.layout import Layout


def show(layout: Layout, services: Sequence[str], lines: int, follow: bool) -> int:
    """Show the end of the logs with tail(1), of all services by default. Return the exit code of tail."""
    known = sorted(path.stem for path in layout.logs.glob("*.log")) if layout.logs.is_dir() else []
    for name in services:
        if name not in known:
            raise RefusalError(f"no log of {name!r}; there are: {', '.join(known) or 'none'}")
    files = [str(layout.log(name)) for name in services or known]
    if not files:
        raise RefusalError(f"no logs at {layout.logs}")
    try:
        return subprocess.run(
            ["tail", f"--lines={lines}", *(["-F"] if follow else []), *files], check=False
        ).returncode
    except KeyboardInterrupt:
        return 0
