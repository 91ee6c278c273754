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
    limit=LIMIT, marker=_ID | {"description": "Only events older than the one with this id."}
)

_EVENT = record(
    id=_ID,
    at=TIME,
    kind=STRING | {"description": "one word for programs"},
    level=words(Severity),
    message=STRING | {"description": "for people; without host names for those who may not see hosts"},
    code=REASON["properties"]["code"] | {"description": "the same for programs"},
    params=REASON["properties"]["params"] | {"description": "the code's parameters"},
    request_id=or_null(STRING),
    user_id=or_null(STRING),
)

INDEX: Schema = record(events=several(_EVENT, "newest first"))
INDEX["properties"]["events_links"] = LINKS
