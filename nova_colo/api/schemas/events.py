# SPDX-License-Identifier: Apache-2.0
"""Schemas of events."""

from nova_colo.api.schemas.base import (
    LIMIT,
    LINKS,
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
from nova_colo.pair.reasons import Severity

_ID: Schema = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}

QUERY: Schema = query(
    limit=LIMIT,
    marker=_ID
    | {"description": "The ID of the last event of the previous page; only older events are returned."},
)

_EVENT = record(
    id=_ID,
    at=TIME,
    kind=STRING | {"description": "The kind of the event, as one word."},
    level=words(Severity),
    message=STRING
    | {"description": "The text of the event, without the names of hosts if the caller may not see them."},
    code=REASON["properties"]["code"] | {"description": "The code of the message."},
    params=REASON["properties"]["params"] | {"description": "The parameters of the message's code."},
    request_id=or_null(STRING),
    user_id=or_null(STRING),
)

INDEX: Schema = record(events=several(_EVENT, "The events, newest first."))
INDEX["properties"]["events_links"] = LINKS
