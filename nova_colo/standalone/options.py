# SPDX-License-Identifier: Apache-2.0
"""The command line."""

import argparse
import uuid
from typing import Any

from nova_colo.pair.model import Mode
from nova_colo.standalone import commands, status, supervisor


class UsageError(Exception):
    """The command line contradicts itself; the message says where."""


def add_commands(subparsers: Any) -> None:
    """Add the commands to oslo.config's parser."""
    protect = _add(subparsers, "protect", commands.protect, "make a secondary of a guest that runs")
    _name_both(protect)
    _set_pace(protect)
    show = _add(subparsers, "status", status.status, "show how a pair does")
    _name_all(show)
    show.add_argument(
        "--watch",
        nargs="?",
        type=_seconds,
        const=2.0,
        metavar="SECONDS",
        help="again and again, until Ctrl-C",
    )
    show.add_argument(
        "--probe", type=_endpoint, metavar="HOST:PORT", help="a service of the guest: time to connect"
    )
    failover = _add(subparsers, "failover", commands.failover, "let the secondary take over")
    _name_all(failover)
    failover.add_argument(
        "--lost", action="store_true", help="only the secondary is told: you vouch that the primary is dead"
    )
    failover.add_argument(
        "--force", action="store_true", help="with --lost: also when the primary seems to be well"
    )
    _name_all(_add(subparsers, "alone", commands.alone, "let the primary go on without its secondary"))
    _name_all(_add(subparsers, "unprotect", commands.unprotect, "remove the secondary"))
    mode = _add(subparsers, "mode", commands.mode, "change how a pair synchronises")
    _name_all(mode)
    mode.add_argument(
        "mode", choices=list(Mode), type=Mode, metavar="MODE", help="colo, checkpoint or hybrid"
    )
    mode.add_argument(
        "--interval-ms", type=_interval, metavar="N", help="milliseconds between two, with checkpoint"
    )
    watch = _add(
        subparsers,
        "run",
        supervisor.run,
        "protect a guest and act by itself when a replica is lost, until it is stopped",
    )
    _name_both(watch)
    _set_pace(watch)
    watch.add_argument(
        "--spare", type=_hosts, default=[], metavar="C[,D]", help="more hosts that may get a secondary"
    )


def check(command: Any) -> None:
    """Refuse what the parser has no word for."""
    if command.name in ("protect", "run") and command.primary == command.secondary:
        raise UsageError(f"--primary and --secondary are both {command.primary}. A twin needs another host.")
    if command.name == "failover" and command.force and not command.lost:
        raise UsageError("--force has a meaning with --lost only.")


def _add(subparsers: Any, name: str, function: Any, text: str) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.add_argument(
        "server", type=_uuid, metavar="SERVER", help="uuid of the guest, as virsh domuuid says it"
    )
    parser.add_argument("--json", action="store_true", help="say what comes out as JSON")
    parser.set_defaults(run=function)
    return parser


def _name_all(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--hosts", required=True, type=_hosts, metavar="A,B[,C]", help="its hosts, as their agents call them"
    )


def _name_both(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--primary", required=True, metavar="A", help="host that the guest runs on, as its agent calls it"
    )
    parser.add_argument("--secondary", required=True, metavar="B", help="host of the twin")


def _set_pace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mode", choices=list(Mode), type=Mode, default=Mode.COLO, help="default: colo")
    parser.add_argument(
        "--interval-ms", type=_interval, metavar="N", help="milliseconds between two, with checkpoint"
    )


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no uuid. virsh domuuid NAME says it") from None


def _hosts(text: str) -> list[str]:
    hosts = [host.strip() for host in text.split(",")]
    if not all(hosts) or len(set(hosts)) < len(hosts):
        raise argparse.ArgumentTypeError(f"'{text}' is no list of different hosts, as in A,B")
    return hosts


def _interval(text: str) -> int:
    if not text.isdecimal() or int(text) < 10:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of milliseconds, 10 or more")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds, 0.1 or more")
    return seconds


def _endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"'{text}' is not HOST:PORT")
    return host.strip("[]"), int(port)
