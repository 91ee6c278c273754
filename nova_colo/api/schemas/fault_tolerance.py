# SPDX-License-Identifier: Apache-2.0
"""Schemas of discovery, list and show."""

from nova_colo.api.schemas.base import (
    BOOLEAN,
    COUNT,
    HOST,
    INTEGER,
    LIMIT,
    LINKS,
    NUMBER,
    PROJECT_ID,
    REASON,
    STRING,
    TIME,
    UUID,
    Schema,
    or_null,
    query,
    reason,
    record,
    several,
    words,
)
from nova_colo.db.listing import SORT_KEYS
from nova_colo.pair.actions import ACTIONS
from nova_colo.pair.model import FtStatus, Health, Mode, State, Wanted

#: Booleans in a query. As in Nova, all_tenants without a value means yes.
_BOOLEAN_WORDS = ("", "0", "1", "true", "false", "True", "False", "yes", "no")

INDEX_QUERY: Schema = query(
    all_tenants=words(_BOOLEAN_WORDS, "List the FT servers of all projects. Requires the right to see them."),
    project_id=PROJECT_ID
    | {
        "description": "Filter the FT servers by project. Requires the right to see all projects if it is "
        "not the caller's own."
    },
    state=several(
        words(State),
        "Filter the FT servers by the state of their pairs. May be repeated to match any of several states.",
    ),
    health=several(
        words(Health),
        "Filter the FT servers by the health of their pairs. May be repeated to match any of several values.",
    ),
    host=HOST
    | {
        "description": "Filter the FT servers by the host of either replica. Requires the right to see hosts."
    },
    name=STRING
    | {"maxLength": 255, "description": "Filter the FT servers by a part of their name, ignoring case."},
    limit=LIMIT,
    marker=UUID | {"description": "The server_id of the last FT server of the previous page."},
    sort_key=words(
        SORT_KEYS,
        "Sort by this attribute. health and state sort by severity, the worst first. primary_host and "
        "secondary_host require the right to see hosts. FT servers without a value come last.",
    ),
    sort_dir=words(("asc", "desc"), "Sort direction."),
)

EMPTY_QUERY: Schema = query()

#: Filters of the list, as discovery lists them.
FILTERS = ("state", "health", "host", "project_id", "name", "all_tenants")

DISCOVERY: Schema = record(
    fault_tolerance=record(
        version=STRING,
        modes=several(words(Mode)),
        actions=several(words(ACTIONS)),
        can_see_hosts=BOOLEAN,
        simulated=BOOLEAN | {"description": "Whether figures of some hosts are simulated."},
        limits=record(max_limit=COUNT, checkpoint_buckets=COUNT),
        filters=several(words(FILTERS), "The filters of the list that the caller may use."),
        sort_keys=several(words(SORT_KEYS), "The sort keys of the list that the caller may use."),
    )
)

_REPLICA = record(
    host=or_null(STRING | {"description": "The host of the replica; null if the caller may not see hosts."}),
    since=or_null(TIME),
)

_PROGRESS = record(
    stage=STRING,
    stage_code=or_null(STRING | {"description": "The code of the stage."}),
    step=COUNT,
    of=COUNT,
    percent=or_null(NUMBER),
)

_FIGURES = record(
    "The number of checkpoints since the server became an FT server, and their rate and pauses in the last "
    "window_s seconds.",
    total=COUNT,
    mismatch=COUNT,
    periodic=COUNT,
    forced=COUNT,
    last_at=or_null(TIME),
    window_s=NUMBER,
    per_min=or_null(NUMBER),
    pause_ms=record(mean=or_null(NUMBER), p99=or_null(NUMBER), max=or_null(NUMBER)),
)

_FAILOVERS = record(
    total=COUNT,
    last_at=or_null(TIME),
    **reason("last_reason", or_null(STRING)),
    last_gap_ms=or_null(NUMBER),
)

_ACTION = record(
    "Whether the caller may request the action now, and if not, the reason and what to do instead.",
    name=words(ACTIONS),
    allowed=BOOLEAN,
    **reason("reason", STRING),
)

PAIR: Schema = record(
    server_id=UUID,
    name=STRING,
    project_id=STRING,
    flavor=STRING,
    ft_status=words(FtStatus),
    state=words(State),
    **reason("state_reason", STRING),
    health=words(Health),
    health_reasons=several(STRING),
    health_reason_details=several(REASON, "The codes and parameters of health_reasons, in the same order."),
    wanted=words(Wanted, "The protection that was requested."),
    **reason(
        "first_error",
        or_null(
            STRING | {"description": "The first of the consecutive errors that keep the server unprotected."}
        ),
    ),
    mode=words((Mode.COLO, Mode.CHECKPOINT)),
    mode_policy=words(Mode),
    checkpoint_interval_ms=or_null(
        COUNT | {"description": "Milliseconds between periodic checkpoints; null for the backend's default."}
    ),
    auto_reprotect=BOOLEAN | {"description": "Whether a lost secondary is replaced automatically."},
    backend=or_null(STRING),
    epoch=INTEGER,
    primary=_REPLICA,
    secondary=or_null(_REPLICA),
    reserved_on=or_null(
        STRING | {"description": "The host with capacity reserved for a secondary that does not exist yet."}
    ),
    protected_since=or_null(TIME),
    progress=or_null(_PROGRESS),
    checkpoints=_FIGURES,
    stale_since=or_null(
        TIME | {"description": "When the figures were last updated; null unless they are outdated."}
    ),
    failovers=_FAILOVERS,
    actions=several(_ACTION),
)

SUMMARY: Schema = record(
    "The number of FT servers by state and health, of all that match the query without regard to its filters "
    "state and health and to paging.",
    total=COUNT,
    state=record(**{str(state): COUNT for state in State}),
    health=record(**{str(health): COUNT for health in Health}),
    secondaries=record(
        "The number of secondaries, and the memory in MiB that is used by or reserved for them.",
        total=COUNT,
        memory_mb=COUNT,
    ),
)

INDEX: Schema = record(servers=several(PAIR), summary=SUMMARY)
INDEX["properties"]["servers_links"] = LINKS

SHOW: Schema = record(fault_tolerance=PAIR)
