# SPDX-License-Identifier: Apache-2.0
"""Schemas of hosts."""

from nova_colo.api.schemas.base import (
    BOOLEAN,
    COUNT,
    REASON,
    STRING,
    TIME,
    Schema,
    or_null,
    query,
    record,
    several,
    words,
)

QUERY: Schema = query()

_AGENT = record(
    state=words(("up", "down")),
    seen_at=or_null(TIME),
    version=or_null(STRING),
    backend=or_null(STRING),
)

_HOST = record(
    host=STRING,
    agent=_AGENT,
    versions={
        "type": "object",
        "additionalProperties": STRING,
        "description": "of what the agent has found on the host",
    },
    capable=BOOLEAN | {"description": "whether it can carry replicas of pairs"},
    reasons=several(STRING, "its unmet requirements when it is not capable"),
    reason_details=several(REASON, "the same for programs, in the same order"),
    primaries=COUNT,
    secondaries=COUNT,
    reserved_memory_mb=COUNT | {"description": "for secondaries, twice the memory of their flavors"},
    fenced_since=or_null(TIME | {"description": "since when its nova-compute is forced down"}),
)

INDEX: Schema = record(hosts=several(_HOST, "by name"))
