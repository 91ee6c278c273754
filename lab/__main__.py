# SPDX-License-Identifier: Apache-2.0
"""``python3 -m lab``."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this runs under any interpreter of the system
    sys.exit(f"lab: Python 3.11 or newer is required, this is {sys.version.split()[0]}")

from lab.cli import main

sys.exit(main(sys.argv[1:]))
