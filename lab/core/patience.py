# SPDX-License-Identifier: Apache-2.0
"""How patient the lab and its tests are: one factor for each time that is waited at most. Standard library only.

What is waited for comes as soon as it comes; the factor says when it is given up. A machine that has other things to do wants
a larger one: ``TEST_PATIENCE=3 make test``.
"""

import os

VARIABLE = "TEST_PATIENCE"


def _factor() -> float:
    said = os.environ.get(VARIABLE, "1")
    try:
        factor = float(said)
    except ValueError:
        factor = 0.0
    if not 1 <= factor <= 100:
        raise SystemExit(
            f"{VARIABLE} is a number from 1 to 100, by which waiting times are multiplied, not {said!r}"
        )
    return factor


FACTOR = _factor()


def patient(seconds: float) -> float:
    """Return for how many seconds to wait on this machine for what takes no longer than ``seconds`` on one that is at rest."""
    return seconds * FACTOR
