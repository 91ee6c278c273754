# SPDX-License-Identifier: Apache-2.0
"""Pairs for tests of the core."""

from typing import Any

from nova_colo.pair.model import Pair, State


def pair(**changes: Any) -> Pair:
    """Return a protected pair of hosts a and b in epoch 3, with some of it changed."""
    values = {
        "server_id": "s",
        "state": State.PROTECTED,
        "epoch": 3,
        "primary_host": "a",
        "secondary_host": "b",
        "nova_host": "a",
        "server_status": "ACTIVE",
    }
    return Pair(**(values | changes))
