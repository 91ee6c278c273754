# SPDX-License-Identifier: Apache-2.0
"""JSON schemas of requests."""

FAILOVER = {
    "type": "object",
    "properties": {
        "failover": {
            "type": ["object", "null"],
            "properties": {"force": {"type": "boolean"}},
            "additionalProperties": False,
        }
    },
    "required": ["failover"],
    "additionalProperties": False,
}

INDEX_QUERY = {
    "type": "object",
    "properties": {
        "all_tenants": {"enum": ["", "0", "1", "true", "false", "True", "False", "yes", "no"]},
    },
    "additionalProperties": False,
}
