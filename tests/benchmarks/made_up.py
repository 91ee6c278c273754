# SPDX-License-Identifier: Apache-2.0
"""Pairs that exist in the database only, for measurements at a scale that no single machine has."""

import pathlib
from typing import Any

from oslo_config import cfg
from oslo_utils import timeutils

from nova_colo import conf as colo_conf
from nova_colo.db import Database
from nova_colo.pair.model import secondary_id


def ft_database(config_file: pathlib.Path) -> Database:
    """Return the FT database of a configuration file."""
    return Database(colo_conf.load([], [str(config_file)], conf=cfg.ConfigOpts()))


def figures(**more: Any) -> dict[str, Any]:
    """Return an agent's report of a pair's checkpoints."""
    return {
        "total": 1000,
        "mismatch": 700,
        "periodic": 300,
        "forced": 0,
        "last_at": "2026-01-01T00:00:00Z",
        "window_s": 300,
        "per_min": 6.5,
        "pause_ms": {"mean": 9.1, "p99": 20.2, "max": 40.3},
        **more,
    }


def pair_columns(server_id: str, primary: str, secondary: str) -> dict[str, Any]:
    """Return the columns of a protected pair."""
    now = timeutils.utcnow()
    return {
        "server_id": server_id,
        "secondary_id": secondary_id(server_id),
        "name": f"made-up-{server_id[:8]}",
        "project_id": "0123456789abcdef0123456789abcdef",
        "user_id": "fedcba9876543210fedcba9876543210",
        "flavor": "ft.nano",
        "vcpus": 1,
        "memory_mb": 64,
        "disk_gb": 0,
        "server_status": "ACTIVE",
        "nova_host": primary,
        "primary_host": primary,
        "primary_since": now,
        "secondary_host": secondary,
        "secondary_since": now,
        "protected_since": now,
        "state": "protected",
        "state_reason": None,
        "health": "ok",
        "health_reasons": [],
        "checkpoints": figures(),
        "measured_at": now,
        "backend": "simulated",
    }
