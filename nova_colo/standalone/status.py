# SPDX-License-Identifier: Apache-2.0
"""colo-pair status: one table, or JSON."""

import socket
import time
from typing import Any

from oslo_config import cfg
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nova_colo.pair import reasons
from nova_colo.pair.model import Cause, Role
from nova_colo.standalone.agents import AgentPool
from nova_colo.standalone.output import Screen, milliseconds
from nova_colo.standalone.pair import PairError, Standing

PROBE_S = 3.0
CAUSES = [cause.value for cause in Cause]
BY_CAUSE = "/".join(CAUSES)
UP = {True: "up", False: "down", None: "-"}


def status(conf: cfg.ConfigOpts, agents: AgentPool, screen: Screen) -> None:
    """Show how a pair does, once or again and again."""
    command = conf.command
    if command.watch is None:
        _print(screen, seen(agents, command.server, command.hosts, command.probe))
        return
    try:
        if screen.live:
            with Live(console=screen.console, screen=False, auto_refresh=False) as live:
                for shown in _again(agents, command):
                    live.update(
                        Group(_table(shown), Text(f"{time.strftime('%H:%M:%S')}  Ctrl-C ends")), refresh=True
                    )
        else:
            for shown in _again(agents, command):
                _print(screen, shown)
    except KeyboardInterrupt:
        return


def _again(agents: AgentPool, command: Any) -> Any:
    while True:
        yield seen(agents, command.server, command.hosts, command.probe)
        time.sleep(command.watch)


def seen(
    agents: AgentPool, server_id: str, hosts: list[str], probe: tuple[str, int] | None
) -> dict[str, Any]:
    """Return what status shows, as its JSON."""
    sight = agents.look(server_id, hosts)
    standing = sight.standing
    rows = [_row(host, standing, host in sight.silent) for host in hosts]
    shown: dict[str, Any] = {
        "server_id": server_id,
        "primary": standing.primary,
        "secondary": standing.secondary,
    }
    shown["epoch"] = standing.epoch
    for row in rows:
        if row["checkpoints"]:
            row["checkpoints"]["last_minute"] = _last_minute(agents, row["host"], server_id)
    if probe is not None:
        shown["rtt_ms"] = connect_ms(*probe)
    return {**shown, "hosts": rows}


def _row(host: str, standing: Standing, silent: bool) -> dict[str, Any]:
    replica = standing.replicas.get(host)
    nothing = {
        "role": None,
        "epoch": None,
        "running": None,
        "link_up": None,
        "checkpoints": None,
        "stood_still_ms": None,
    }
    row: dict[str, Any] = {"host": host, "answers": not silent, **nothing, "progress": None, "reasons": []}
    if replica is None:
        return row | {"reasons": ["The agent does not answer."] if silent else []}
    why = [str(reason) for reason in reasons.read_all([*replica.get("reasons", ()), replica.get("error")])]
    if host not in (standing.primary, standing.secondary):
        why.append(
            f"Left over: the pair is in epoch {standing.epoch}. It ends when the guest is protected on this host."
        )
    elif replica["role"] == Role.PROMOTED:
        why.append("Its failover was interrupted. Protect the guest again.")
    row |= {name: replica.get(name) for name in (*nothing, "progress")}
    if row["progress"]:
        row["progress"] |= {"stage": reasons.stage(row["progress"]["stage"])}
    return row | {"reasons": why}


def _last_minute(agents: AgentPool, host: str, server_id: str) -> dict[str, int] | None:
    """Return the checkpoints of the last minute by cause; None when the agent does not say."""
    try:
        buckets = agents.call(host, "checkpoint_buckets", since=int(time.time()) - 70).get(server_id, [])
    except PairError:
        return None
    return {cause: sum(bucket[cause] for bucket in buckets[-6:]) for cause in CAUSES}


def connect_ms(host: str, port: int) -> float | None:
    """Return how long a TCP connection takes, in milliseconds; None when it does not come about."""
    begun = time.monotonic()
    try:
        socket.create_connection((host, port), PROBE_S).close()
    except OSError:
        return None
    return round((time.monotonic() - begun) * 1000, 3)


def _print(screen: Screen, shown: dict[str, Any]) -> None:
    if screen.as_json:
        screen.result("", **shown)
    else:
        screen.console.print(_table(shown))


def _table(shown: dict[str, Any]) -> Table:
    table = Table(title=f"{shown['server_id']}, epoch {shown['epoch']}", title_justify="left")
    columns = (
        "Host",
        "Role",
        "Epoch",
        "Running",
        "Link",
        f"Checkpoints\n{BY_CAUSE}",
        f"Last minute\n{BY_CAUSE}",
    )
    columns += ("Pause ms\nmean/p99/max", *(("RTT ms",) if "rtt_ms" in shown else ()), "Reasons")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in shown["hosts"]:
        cells = [
            row["host"],
            row["role"] or "-",
            _or_dash(row["epoch"]),
            _yes_no(row["running"]),
            UP[row["link_up"]],
        ]
        cells += _figures(row["checkpoints"])
        if "rtt_ms" in shown:
            cells.append(milliseconds(shown["rtt_ms"]) if row["host"] == shown["primary"] else "-")
        table.add_row(*map(Text, [*cells, _why(row)]))
    return table


def _figures(checkpoints: dict[str, Any] | None) -> list[str]:
    if checkpoints is None:
        return ["-", "-", "-"]
    minute, pause = checkpoints["last_minute"], checkpoints["pause_ms"]
    pauses = "/".join(milliseconds(pause[name]) for name in ("mean", "p99", "max"))
    return [_by_cause(checkpoints), _by_cause(minute) if minute else "-", pauses]


def _by_cause(counts: dict[str, Any]) -> str:
    return f"{sum(counts[cause] for cause in CAUSES)}\n{'/'.join(str(counts[cause]) for cause in CAUSES)}"


def _why(row: dict[str, Any]) -> str:
    progress = row["progress"]
    making = [f"Being made: {progress['stage']}, {progress['percent']} %."] if progress else []
    return " ".join([*making, *row["reasons"]])


def _or_dash(value: Any) -> str:
    return "-" if value is None else str(value)


def _yes_no(value: bool | None) -> str:
    return "-" if value is None else "yes" if value else "no"
