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
    all_tenants=words(_BOOLEAN_WORDS, "The FT servers of all projects. Needs the right to see them."),
    project_id=PROJECT_ID
    | {"description": "Those of this project. Any but one's own needs the right to see all."},
    state=several(words(State), "Those in this state; several times: in any of them."),
    health=several(words(Health), "Those of this health; several times: of any of them."),
    host=HOST
    | {"description": "Those whose primary or secondary is on this host. Needs the right to see hosts."},
    name=STRING
    | {"maxLength": 255, "description": "Those whose name contains this, in capital letters or small ones."},
    limit=LIMIT,
    marker=UUID | {"description": "The server_id of the last one of the page before."},
    sort_key=words(
        SORT_KEYS,
        "By what to sort. health and state sort by severity, the worst first. "
        "Hosts need the right to see them. Those that have no value come last.",
    ),
    sort_dir=words(("asc", "desc")),
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
        simulated=BOOLEAN | {"description": "whether figures of some hosts are simulated"},
        limits=record(max_limit=COUNT, checkpoint_buckets=COUNT),
        filters=several(words(FILTERS), "those that this caller may use"),
        sort_keys=several(words(SORT_KEYS), "those that this caller may use"),
    )
)

_REPLICA = record(
    host=or_null(STRING | {"description": "null for those who may not see hosts"}), since=or_null(TIME)
)

_PROGRESS = record(
    stage=STRING,
    stage_code=or_null(STRING | {"description": "the stage for programs"}),
    step=COUNT,
    of=COUNT,
    percent=or_null(NUMBER),
)

_FIGURES = record(
    "Checkpoints since the server became an FT server, and rate and pauses of the last window_s seconds",
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
    "Whether this caller can do it now, and if not, why not and what to do instead",
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
    health_reason_details=several(REASON, "the same for programs, in the same order"),
    wanted=words(Wanted, "requested protection"),
    **reason(
        "first_error",
        or_null(
            STRING | {"description": "the first of the errors in a row that keep it from being protected"}
        ),
    ),
    mode=words((Mode.COLO, Mode.CHECKPOINT)),
    mode_policy=words(Mode),
    checkpoint_interval_ms=or_null(COUNT | {"description": "null: the backend's own"}),
    auto_reprotect=BOOLEAN | {"description": "whether a lost secondary is replaced automatically"},
    backend=or_null(STRING),
    epoch=INTEGER,
    primary=_REPLICA,
    secondary=or_null(_REPLICA),
    reserved_on=or_null(
        STRING | {"description": "host with capacity reserved for a secondary that does not exist"}
    ),
    protected_since=or_null(TIME),
    progress=or_null(_PROGRESS),
    checkpoints=_FIGURES,
    stale_since=or_null(
        TIME | {"description": "when the figures were last renewed, if that is too long ago"}
    ),
    failovers=_FAILOVERS,
    actions=several(_ACTION),
)

SUMMARY: Schema = record(
    "Of all pairs that the query matches, ignoring the filters state and health, and paging",
    total=COUNT,
    state=record(**{str(state): COUNT for state in State}),
    health=record(**{str(health): COUNT for health in Health}),
    secondaries=record(
        "Those that run, and the memory in MiB that is taken or kept for them on hosts",
        total=COUNT,
        memory_mb=COUNT,
    ),
)

INDEX: Schema = record(servers=several(PAIR), summary=SUMMARY)
INDEX["properties"]["servers_links"] = LINKS

SHOW: Schema = record(fault_tolerance=PAIR)
