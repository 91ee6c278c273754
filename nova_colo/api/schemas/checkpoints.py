# SPDX-License-Identifier: Apache-2.0
"""Schemas of the checkpoint history."""

from nova_colo.api.schemas.base import COUNT, NUMBER, TIME, Schema, or_null, query, record, several

#: The width of buckets is chosen so that a response has about this many at most.
MOST_BUCKETS = 360

QUERY: Schema = query(
    since=TIME
    | {"description": "Start of the interval, in ISO 8601 and UTC. Default: one hour before until."},
    until=TIME | {"description": "End of the interval, in ISO 8601 and UTC. Default: now."},
)

_BUCKET = record(
    "The checkpoints that began in one interval. Intervals without checkpoints are left out.",
    start=TIME,
    seconds={"type": "integer", "minimum": 1},
    mismatch=COUNT,
    periodic=COUNT,
    forced=COUNT,
    pause_ms=record(
        "The pauses of the guest by these checkpoints, in milliseconds.",
        mean=or_null(NUMBER),
        max=or_null(NUMBER),
    ),
)

HISTORY: Schema = record(
    checkpoints=record(
        since=TIME,
        until=TIME,
        bucket_s={
            "type": "integer",
            "minimum": 1,
            "description": "Width of the buckets in seconds. Buckets of older checkpoints may be wider.",
        },
        buckets=several(_BUCKET, "The buckets, oldest first."),
    )
)
