# SPDX-License-Identifier: Apache-2.0
"""Validators of the extra specs ``ft:*``: Nova refuses invalid ones (microversion 2.86 and later)."""

from nova.api.validation.extra_specs import base

from nova_colo.pair.model import CHECKPOINT_INTERVAL_MS, Mode


def register() -> list[base.ExtraSpecValidator]:
    """Return the validators. With them, Nova refuses every other name that begins with ``ft:``."""
    return [
        base.ExtraSpecValidator(
            name="ft:enabled",
            description="Whether servers of this flavor are fault tolerant.",
            value={"type": bool, "description": "Whether servers of this flavor are fault tolerant."},
        ),
        base.ExtraSpecValidator(
            name="ft:mode",
            description=(
                "How pairs decide on checkpoints: colo compares the replies of both replicas, "
                "checkpoint takes them at a fixed interval, hybrid changes between the two by itself."
            ),
            value={"type": str, "description": "The mode.", "enum": [mode.value for mode in Mode]},
        ),
        base.ExtraSpecValidator(
            name="ft:checkpoint_interval_ms",
            description="Milliseconds between two checkpoints in mode checkpoint.",
            value={
                "type": int,
                "description": "Milliseconds.",
                "min": CHECKPOINT_INTERVAL_MS[0],
                "max": CHECKPOINT_INTERVAL_MS[1],
            },
        ),
        base.ExtraSpecValidator(
            name="ft:auto_reprotect",
            description="Whether a server that has lost its secondary gets a new one by itself.",
            value={"type": bool, "description": "Whether it gets one by itself."},
        ),
    ]
