# SPDX-License-Identifier: Apache-2.0
"""Schemas of the bodies of actions."""

from nova_colo.api.schemas.base import BOOLEAN, HOST, Schema, or_null, words
from nova_colo.pair import actions
from nova_colo.pair.model import Mode

_NOTHING: Schema = {"type": "null"}


def _options(**properties: Schema) -> Schema:
    """Return the schema of an object whose members may be left out, as may the object."""
    return {"type": ["object", "null"], "properties": properties, "additionalProperties": False}


def _required(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


#: action -> its arguments
ARGUMENTS: dict[str, Schema] = {
    actions.FAILOVER: _options(
        force=BOOLEAN | {"description": "Fail over even when the pair is not in the state protected."}
    ),
    actions.PROTECT: _NOTHING,
    actions.UNPROTECT: _NOTHING,
    actions.SUSPEND: _NOTHING,
    actions.RESUME: _NOTHING,
    actions.TEST_FAILOVER: _options(
        **{"return": BOOLEAN | {"description": "Fail back when the pair is protected again."}}
    ),
    actions.MIGRATE_SECONDARY: _required(
        host=or_null(HOST)
        | {"description": "The host to move the secondary to; null to let the engine select one."}
    ),
    actions.SET_MODE: _required(mode=words(Mode)),
}

#: action -> the whole body
BODIES: dict[str, Schema] = {
    action: _required(**{action: argument}) for action, argument in ARGUMENTS.items()
}
