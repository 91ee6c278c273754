# SPDX-License-Identifier: Apache-2.0
"""Whether this host's agent is healthy, as a file: the compute driver advertises it to placement."""

import pathlib
from typing import Any

from nova_colo.hoststate import json_file

#: Seconds after which an agent that has written nothing counts as not healthy.
FRESH_S = 30.0


def write(state_path: str, reasons: list[dict[str, Any]], now: float) -> None:
    """Note that the agent is there.

    :param reasons: what keeps this host from carrying replicas of pairs; none when it can
    :param now: seconds since the epoch
    """
    json_file.write(_path(state_path), {"at": now, "reasons": reasons})


def is_healthy(state_path: str, now: float) -> bool:
    """Return whether the agent was there lately and this host can carry replicas of pairs.

    :param now: seconds since the epoch
    """
    record = json_file.read(_path(state_path))
    return record is not None and abs(now - record["at"]) <= FRESH_S and not record["reasons"]


def _path(state_path: str) -> pathlib.Path:
    return pathlib.Path(state_path) / "agent.json"
