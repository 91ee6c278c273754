# SPDX-License-Identifier: Apache-2.0
"""One factor for all timeouts of the lab and its tests. Standard library only.

Nothing takes longer when the factor is larger, unless it fails. A busy machine needs a larger one:
``TEST_PATIENCE=3 make test``.
"""

import os

VARIABLE = "TEST_PATIENCE"


def _factor() -> float:
    value = os.environ.get(VARIABLE, "1")
    try:
        factor = float(value)
    except ValueError:
        factor = 0.0
    if not 1 <= factor <= 100:
        raise SystemExit(
            f"{VARIABLE} is a number from 1 to 100, by which timeouts are multiplied, not {value!r}"
        )
    return factor


FACTOR = _factor()


def patient(seconds: float) -> float:
    """Return a timeout for this machine.

    :param seconds: the timeout on an idle machine
    """
    return seconds * FACTOR
