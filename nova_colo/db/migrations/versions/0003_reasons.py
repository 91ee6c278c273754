# SPDX-License-Identifier: Apache-2.0
"""Reasons are codes with parameters; before, they were sentences with marks around the names of hosts."""

import functools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

#: Rows converted at a time.
BATCH = 1000

#: The sentences of before, those that are parts of others too; all others become the text of an operator's reason.
SENTENCES = {
    "requested": "requested",
    "requested_by_force": "requested by force",
    "test_requested": "a test failover was requested",
    "test_return": "the return to {host} from a test failover",
    "host_lost": "host {host} is lost",
    "host_and_secondary_lost": "host {host} is lost and the secondary QEMU ended",
    "primary_ended": "the primary QEMU on {host} ended",
    "secondary_ended": "the secondary QEMU on {host} ended",
    "secondary_host_lost": "the secondary's host {host} is lost",
    "link_lost": "the replication link to {host} is lost",
    "both_ended": "both QEMUs of the pair ended",
    "alone_ended": "the guest on {host} ended and has no twin",
    "ended_before_records": "the guest on {host} ended before Nova's records had followed to it",
    "waits_for_lost_peer": "the primary on {host} still waits for a twin that it has lost",
    "records_outdated": "Nova's records still name {host}",
    "waiting": "The server waits for its secondary.",
    "making_secondary": "A secondary is being made.",
    "removing_secondary": "The secondary is being removed.",
    "moving_secondary": "The secondary is being moved.",
    "not_active": "The server is {status}. It is protected again when it is ACTIVE.",
    "unprotected_on_request": "Protection was removed on request. Protect the server with ft-protect.",
    "suspended_on_request": "Protection is suspended on request. Resume it with ft-resume.",
    "leaving": "The guest on {host} is being restarted, replaced or stopped by Nova.",
    "replaced": "The guest on {host} was restarted or replaced. A new secondary is made.",
    "no_secondary": "The server runs without a secondary.",
    "no_auto_reprotect": "The secondary was lost and the flavor says ft:auto_reprotect=0. Protect the server with ft-protect.",
    "failing_over": "Failing over: {reason}.",
    "failed_over_records": "Failed over: {reason}. Nova's records are following.",
    "failed_over_alone": "Failed over: {reason}. The server runs without a secondary until it is protected again.",
    "running_alone": "Going on alone: {reason}.",
    "secondary_lost": "Secondary lost: {reason}. The server runs without a secondary until it is protected again.",
    "secondary_given_up": "Secondary lost: {reason}. The primary on {host} goes on alone.",
    "failover_failed": "The failover failed: {error}",
    "failover_failed_alone": "The failover failed: {error} The server runs without a secondary until it is protected again.",
    "failover_stuck": "The failover is not finished: {error}",
    "failover_undone": "The failover failed, nothing has changed: {error}",
    "failover_returned": "The failover failed, the server runs on {host} again: {error}",
    "records_stuck": "The server runs, but Nova's records do not follow: {error}",
    "not_running": "Not running: {reason}.",
    "not_running_restarting": "Not running: {reason}. It is being restarted.",
    "not_running_waiting": "Not running: {reason}. It is restarted there when they have followed.",
    "not_running_stuck": "Not running: {reason}, and they do not follow: {error}",
    "restarted": "The server was restarted: {reason}.",
    "agent_silent": "The agent on {host} does not answer.",
    "agent_timeout": "The agent on {host} did not answer.",
    "agent_refused": "{host}: {error}",
    "no_capacity": "Needs a secondary: no other host has {memory_mb} MB of RAM free. Free capacity, enable a host or move a "
    "server.",
    "no_healthy_host": "Needs a secondary: no other host with free capacity has a healthy nova-colo-agent and a nova-compute "
    "that is not forced down. Start them there.",
    "failover_requested": "Failover: {reason}.",
    "failed_over": "Failed over from {source} to {target}: {reason}.",
    "records_followed": "Nova's records have followed to {host}.",
    "protection_requested": "Protection was requested.",
    "protection_resumed": "Protection was resumed on request.",
    "removal_requested": "The removal of protection ({action}) was requested.",
    "move_requested": "A move of the secondary was requested.",
    "moved": "The secondary has moved from {old} to {new}.",
    "not_moved": "The secondary was not moved: {error}",
    "mode_requested": "Mode {mode} was requested.",
    "mode_set": "The mode is {mode}.",
    "mode_failed": "The mode could not be set to {mode}: {error}",
    "not_protected": "The server could not be protected: {error}",
    "unprotect_failed": "Protection could not be taken off: {error}",
    "mode_changed": "Under the policy {policy} the pair goes on in mode {mode}.",
    "request_cancelled": "What was asked for was not begun, since a side of the pair was lost first.",
    "reservation_repaired": "The reservation of the secondary on {host} was missing or wrong in placement. It is there again.",
    "reservation_lost": "The reservation of the secondary on {host} is missing in placement and its room is taken. Move a server "
    "away from there, or move the secondary.",
    "reservation_removed": "A reservation in placement that belonged to no secondary was removed.",
    "guest_ended": "The guest on {host} ended while its secondary was made.",
    "link_lost_making": "The replication link to {host} was lost.",
    "no_secondary_to_resume": "There is no secondary on {host} that could resume.",
    "nova_did_not_follow": "Nova did not follow to {host} (request {request}).",
    "not_ft": "The server is no FT server any more.",
    "internal_error": "Internal error in operation {operation}. See the log of nova-colo-engine.",
}
#: What is said most often, with an end that may be missing.
PROTECTED = re.compile(
    r"Protected: the secondary runs on \[\[(?P<host>[^\]]*)\]\]\.(?: The guest stood still for (?P<ms>\d+) ms\.)?"
)
HOSTS = ("host", "source", "target", "old", "new")


@functools.cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """Return what each sentence looks like; those with the most text of their own first, for they tell the most."""
    by_length = sorted(SENTENCES, key=lambda code: -len(re.sub(r"\{\w+\}", "", SENTENCES[code])))
    return [(code, re.compile(_pattern(SENTENCES[code]) + r"\Z", re.S)) for code in by_length]


def _pattern(sentence: str) -> str:
    parts = re.split(r"\{(\w+)\}", sentence)
    names = (_value(name) for name in parts[1::2])
    return "".join(
        text for pair in zip(map(re.escape, parts[::2]), [*names, ""], strict=True) for text in pair
    )


def _value(name: str) -> str:
    if name in HOSTS:
        return rf"\[\[(?P<{name}>[^\]]*)\]\]"
    return rf"(?P<{name}>\d+)" if name == "memory_mb" else rf"(?P<{name}>.+?)"


def reason_of(text: str | None) -> dict[str, Any] | None:
    """Return the reason that a sentence of before stands for; None for an empty one."""
    if not text:
        return None
    if found := PROTECTED.match(text):
        paused = [{"code": "paused_for", "params": {"ms": int(found["ms"])}}] if found["ms"] else []
        return {"code": "protected", "params": {"host": found["host"], "more": paused}}
    for code, pattern in _patterns():
        found = pattern.match(text)
        if found:
            return {
                "code": code,
                "params": {name: _param(name, value) for name, value in found.groupdict().items()},
            }
    return {"code": "other", "params": {"text": re.sub(r"\[\[([^\]]*)\]\]", r"\1", text)}}


def _param(name: str, value: str) -> Any:
    if name in ("reason", "error"):
        return reason_of(value)
    return int(value) if name == "memory_mb" else value


def _one(value: str | None) -> str | None:
    if value and value.startswith('{"code": '):  # by an attempt that was cut off
        return value
    reason = reason_of(value)
    return json.dumps(reason) if reason else None


def _event(value: str | None) -> str:
    return _one(value) or json.dumps({"code": "other", "params": {"text": ""}})


def _several(value: str | None) -> str:
    found = json.loads(value or "[]") or ()
    return json.dumps([one if isinstance(one, dict) else reason_of(one) for one in found if one])


def upgrade() -> None:
    """Apply."""
    _convert("pairs", "server_id", {"state_reason": _one, "failover_reason": _one, "first_error": _one})
    _convert("pairs", "server_id", {"health_reasons": _several}, nullable=False)
    _convert("hosts", "host", {"reasons": _several})
    _convert("operations", "id", {"error": _one})
    _convert("events", "id", {"message": _event}, nullable=False, becomes={"message": "reason"})


def _convert(
    table: str,
    key: str,
    columns: dict[str, Callable[[str | None], str | None]],
    nullable: bool = True,
    becomes: dict[str, str] | None = None,
) -> None:
    """Make columns of sentences columns of reasons.

    :param key: the table's primary key
    :param becomes: names that columns get
    """
    names = {name: (becomes or {}).get(name, name) for name in columns}
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
    if not there.intersection(columns) and there.issuperset(names.values()):
        return  # MariaDB keeps what an attempt has done that was cut off
    left = [name for name in columns if name in there]
    if left:
        _fill(table, key, {name: columns[name] for name in left}, there)
        with op.batch_alter_table(table) as batch_op:
            for name in left:
                batch_op.drop_column(name)
    with op.batch_alter_table(table) as batch_op:
        for name, new in names.items():
            batch_op.alter_column(
                f"new_{name}", new_column_name=new, existing_type=sa.JSON(), nullable=nullable
            )


def _fill(
    table: str, key: str, columns: dict[str, Callable[[str | None], str | None]], there: set[str]
) -> None:
    """Add a column of reasons for each of sentences, and fill it."""
    with op.batch_alter_table(table) as batch_op:
        for name in columns:
            if f"new_{name}" not in there:
                batch_op.add_column(sa.Column(f"new_{name}", sa.JSON(), nullable=True))
    for rows in _batches(table, key, list(columns)):
        values = [
            {"the_key": row[0]}
            | {name: columns[name](value) for name, value in zip(columns, row[1:], strict=True)}
            for row in rows
        ]
        assigned = ", ".join(f"new_{name} = :{name}" for name in columns)
        op.get_bind().execute(sa.text(f"UPDATE {table} SET {assigned} WHERE {key} = :the_key"), values)


def _batches(table: str, key: str, names: list[str]) -> Iterator[list[Any]]:
    last: Any = None
    while True:
        after = f"WHERE {key} > :last" if last is not None else ""
        query = sa.text(f"SELECT {key}, {', '.join(names)} FROM {table} {after} ORDER BY {key} LIMIT {BATCH}")
        rows = list(op.get_bind().execute(query, {"last": last} if last is not None else {}))
        if not rows:
            return
        yield rows
        last = rows[-1][0]
