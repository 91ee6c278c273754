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
from nova_colo.standalone.output import Output, milliseconds
from nova_colo.standalone.pair import PairError, PairObservation

PROBE_S = 3.0
CAUSES = [cause.value for cause in Cause]
BY_CAUSE = "/".join(CAUSES)
UP = {True: "up", False: "down", None: "-"}


def status(conf: cfg.ConfigOpts, agents: AgentPool, output: Output) -> None:
    """Show the state of a pair, once or periodically."""
    command = conf.command
    if command.watch is None:
        _print(output, collect(agents, command.server, command.hosts, command.probe))
        return
    try:
        if output.live:
            with Live(console=output.console, screen=False, auto_refresh=False) as live:
                for report in _repeat(agents, command):
                    live.update(
                        Group(_table(report), Text(f"{time.strftime('%H:%M:%S')}  Ctrl-C ends")), refresh=True
                    )
        else:
            for report in _repeat(agents, command):
                _print(output, report)
    except KeyboardInterrupt:
        return


def _repeat(agents: AgentPool, command: Any) -> Any:
    while True:
        yield collect(agents, command.server, command.hosts, command.probe)
        time.sleep(command.watch)


def collect(
    agents: AgentPool, server_id: str, hosts: list[str], probe: tuple[str, int] | None
) -> dict[str, Any]:
    """Poll the hosts and return the state of a pair, as status --json prints it."""
    polled = agents.poll(server_id, hosts)
    observed = polled.observed
    rows = [_row(host, observed, host in polled.silent) for host in hosts]
    report: dict[str, Any] = {
        "server_id": server_id,
        "primary": observed.primary,
        "secondary": observed.secondary,
    }
    report["epoch"] = observed.epoch
    for row in rows:
        if row["checkpoints"]:
            row["checkpoints"]["last_minute"] = _last_minute(agents, row["host"], server_id)
    if probe is not None:
        report["rtt_ms"] = connect_ms(*probe)
    return {**report, "hosts": rows}


def _row(host: str, observed: PairObservation, silent: bool) -> dict[str, Any]:
    replica = observed.replicas.get(host)
    empty = {
        "role": None,
        "epoch": None,
        "running": None,
        "link_up": None,
        "checkpoints": None,
        "stood_still_ms": None,
    }
    row: dict[str, Any] = {"host": host, "answers": not silent, **empty, "progress": None, "reasons": []}
    if replica is None:
        return row | {"reasons": ["The agent does not answer."] if silent else []}
    messages = [
        str(reason) for reason in reasons.read_all([*replica.get("reasons", ()), replica.get("error")])
    ]
    if host not in (observed.primary, observed.secondary):
        messages.append(
            f"Orphaned: the pair is in epoch {observed.epoch}. "
            "Destroyed when the guest is protected on this host."
        )
    elif replica["role"] == Role.PROMOTED:
        messages.append("Its failover was interrupted. Protect the guest again.")
    row |= {name: replica.get(name) for name in (*empty, "progress")}
    if row["progress"]:
        row["progress"] |= {"stage": reasons.stage(row["progress"]["stage"])}
    return row | {"reasons": messages}


def _last_minute(agents: AgentPool, host: str, server_id: str) -> dict[str, int] | None:
    """Return the checkpoints of the last minute by cause; None when the agent does not answer."""
    try:
        buckets = agents.api.checkpoint_buckets(host, int(time.time()) - 70).get(server_id, [])
    except PairError:
        return None
    return {cause: sum(bucket[cause] for bucket in buckets[-6:]) for cause in CAUSES}


def connect_ms(host: str, port: int) -> float | None:
    """Return the time to open a TCP connection, in milliseconds; None when it fails."""
    started = time.monotonic()
    try:
        socket.create_connection((host, port), PROBE_S).close()
    except OSError:
        return None
    return round((time.monotonic() - started) * 1000, 3)


def _print(output: Output, report: dict[str, Any]) -> None:
    if output.as_json:
        output.result("", **report)
    else:
        output.console.print(_table(report))


def _table(report: dict[str, Any]) -> Table:
    table = Table(title=f"{report['server_id']}, epoch {report['epoch']}", title_justify="left")
    columns = (
        "Host",
        "Role",
        "Epoch",
        "Running",
        "Link",
        f"Checkpoints\n{BY_CAUSE}",
        f"Last minute\n{BY_CAUSE}",
    )
    columns += ("Pause ms\nmean/p99/max", *(("RTT ms",) if "rtt_ms" in report else ()), "Reasons")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in report["hosts"]:
        cells = [
            row["host"],
            row["role"] or "-",
            _or_dash(row["epoch"]),
            _yes_no(row["running"]),
            UP[row["link_up"]],
        ]
        cells += _figures(row["checkpoints"])
        if "rtt_ms" in report:
            cells.append(milliseconds(report["rtt_ms"]) if row["host"] == report["primary"] else "-")
        table.add_row(*map(Text, [*cells, _reasons_cell(row)]))
    return table


def _figures(checkpoints: dict[str, Any] | None) -> list[str]:
    if checkpoints is None:
        return ["-", "-", "-"]
    minute, pause = checkpoints["last_minute"], checkpoints["pause_ms"]
    pauses = "/".join(milliseconds(pause[name]) for name in ("mean", "p99", "max"))
    return [_by_cause(checkpoints), _by_cause(minute) if minute else "-", pauses]


def _by_cause(counts: dict[str, Any]) -> str:
    return f"{sum(counts[cause] for cause in CAUSES)}\n{'/'.join(str(counts[cause]) for cause in CAUSES)}"


def _reasons_cell(row: dict[str, Any]) -> str:
    progress = row["progress"]
    protecting = [f"Protecting: {progress['stage']}, {progress['percent']} %."] if progress else []
    return " ".join([*protecting, *row["reasons"]])


def _or_dash(value: Any) -> str:
    return "-" if value is None else str(value)


def _yes_no(value: bool | None) -> str:
    return "-" if value is None else "yes" if value else "no"
