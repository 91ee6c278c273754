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
        "description": "The versions of the software that the agent has found on the host, by name.",
    },
    capable=BOOLEAN | {"description": "Whether the host can run replicas of FT servers."},
    reasons=several(STRING, "The unmet requirements of a host that is not capable."),
    reason_details=several(REASON, "The codes and parameters of reasons, in the same order."),
    primaries=COUNT,
    secondaries=COUNT,
    reserved_memory_mb=COUNT
    | {"description": "The memory in MiB reserved for secondaries: twice that of their flavors."},
    fenced_since=or_null(
        TIME
        | {"description": "When the nova-compute service of the host was forced down; null unless it is."}
    ),
)

INDEX: Schema = record(hosts=several(_HOST, "The hosts, ordered by name."))
