# SPDX-License-Identifier: Apache-2.0
"""The health of this host's agent, as a file: the compute driver advertises it to Placement by a trait."""

import pathlib
from typing import Any

from nova_colo.hoststate import json_file

#: Age in seconds of the file from which the agent counts as not healthy.
FRESH_S = 30.0


def write(state_path: str, reasons: list[dict[str, Any]], now: float) -> None:
    """Record that the agent runs.

    :param reasons: why this host cannot run replicas of pairs; empty when it can
    :param now: seconds since the epoch
    """
    json_file.write(_path(state_path), {"at": now, "reasons": reasons})


def is_healthy(state_path: str, now: float) -> bool:
    """Return whether the agent has run recently and this host can run replicas of pairs.

    :param now: seconds since the epoch
    """
    record = json_file.read(_path(state_path))
    return record is not None and abs(now - record["at"]) <= FRESH_S and not record["reasons"]


def _path(state_path: str) -> pathlib.Path:
    return pathlib.Path(state_path) / "agent.json"
