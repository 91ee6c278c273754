# SPDX-License-Identifier: Apache-2.0
"""Schemas of the checkpoint history."""

from nova_colo.api.schemas.base import COUNT, NUMBER, TIME, Schema, or_null, query, record, several

#: The width of buckets is chosen so that a response has about this many at most.
MOST_BUCKETS = 360

QUERY: Schema = query(
    since=TIME | {"description": "From when on, ISO 8601 in UTC. Default: an hour before until."},
    until=TIME | {"description": "Until when, ISO 8601 in UTC. Default: now."},
)

_BUCKET = record(
    "The checkpoints that began in an interval. Intervals without any are left out.",
    start=TIME,
    seconds={"type": "integer", "minimum": 1},
    mismatch=COUNT,
    periodic=COUNT,
    forced=COUNT,
    pause_ms=record("How long the guest was paused", mean=or_null(NUMBER), max=or_null(NUMBER)),
)

HISTORY: Schema = record(
    checkpoints=record(
        since=TIME,
        until=TIME,
        bucket_s={
            "type": "integer",
            "minimum": 1,
            "description": "width of the buckets; those of older times may be wider",
        },
        buckets=several(_BUCKET, "oldest first"),
    )
)
