# SPDX-License-Identifier: Apache-2.0
"""The command line."""

import argparse
import uuid
from typing import Any

from nova_colo.pair.model import Mode
from nova_colo.standalone import commands, status, supervisor


class UsageError(Exception):
    """The command line contradicts itself; the message has the conflict."""


def add_commands(subparsers: Any) -> None:
    """Add the commands to oslo.config's parser."""
    protect = _add(subparsers, "protect", commands.protect, "Create a secondary for a running guest")
    _add_primary_and_secondary(protect)
    _add_checkpoint_options(protect)
    show = _add(subparsers, "status", status.status, "Show the state of a pair")
    _add_hosts(show)
    show.add_argument(
        "--watch",
        nargs="?",
        type=_seconds,
        const=2.0,
        metavar="SECONDS",
        help="Repeat at this interval until Ctrl-C (default: 2)",
    )
    show.add_argument(
        "--probe",
        type=_endpoint,
        metavar="HOST:PORT",
        help="Show the time to connect to this service of the guest",
    )
    failover = _add(subparsers, "failover", commands.failover, "Fail over to the secondary")
    _add_hosts(failover)
    failover.add_argument(
        "--lost",
        action="store_true",
        help="Promote the secondary without asking the primary: you confirm that it is dead",
    )
    failover.add_argument(
        "--force", action="store_true", help="With --lost: promote it even if the primary seems to be healthy"
    )
    _add_hosts(
        _add(subparsers, "alone", commands.alone, "Run the primary unprotected, without its secondary")
    )
    _add_hosts(_add(subparsers, "unprotect", commands.unprotect, "Remove the secondary"))
    mode = _add(subparsers, "mode", commands.mode, "Set the mode of a pair")
    _add_hosts(mode)
    mode.add_argument(
        "mode", choices=list(Mode), type=Mode, metavar="MODE", help="Mode: colo, checkpoint or hybrid"
    )
    mode.add_argument(
        "--interval-ms",
        type=_interval,
        metavar="N",
        help="Milliseconds between two checkpoints in mode checkpoint",
    )
    watch = _add(
        subparsers,
        "run",
        supervisor.run,
        "Protect a guest and handle the loss of its replicas, until stopped",
    )
    _add_primary_and_secondary(watch)
    _add_checkpoint_options(watch)
    watch.add_argument(
        "--spare", type=_hosts, default=[], metavar="C[,D]", help="Other hosts that may get a secondary"
    )


def check(command: Any) -> None:
    """Refuse conflicts that argparse cannot express.

    :raises UsageError: when there is one
    """
    if command.name in ("protect", "run") and command.primary == command.secondary:
        raise UsageError(
            f"--primary and --secondary are both {command.primary}. The secondary needs another host."
        )
    if command.name == "failover" and command.force and not command.lost:
        raise UsageError("--force is valid with --lost only.")


def _add(subparsers: Any, name: str, function: Any, text: str) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(name, help=text, description=text)
    parser.add_argument(
        "server", type=_uuid, metavar="SERVER", help="UUID of the guest, as virsh domuuid shows it"
    )
    parser.add_argument("--json", action="store_true", help="Print the result as JSON")
    parser.set_defaults(run=function)
    return parser


def _add_hosts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--hosts",
        required=True,
        type=_hosts,
        metavar="A,B[,C]",
        help="Hosts of the pair, by the host option of their agents",
    )


def _add_primary_and_secondary(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--primary",
        required=True,
        metavar="A",
        help="Host that the guest runs on, by the host option of its agent",
    )
    parser.add_argument("--secondary", required=True, metavar="B", help="Host of the secondary")


def _add_checkpoint_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mode", choices=list(Mode), type=Mode, default=Mode.COLO, help="Mode (default: colo)"
    )
    parser.add_argument(
        "--interval-ms",
        type=_interval,
        metavar="N",
        help="Milliseconds between two checkpoints in mode checkpoint",
    )


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a UUID. virsh domuuid NAME shows it") from None


def _hosts(text: str) -> list[str]:
    hosts = [host.strip() for host in text.split(",")]
    if not all(hosts) or len(set(hosts)) < len(hosts):
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of different hosts, as in A,B")
    return hosts


def _interval(text: str) -> int:
    if not text.isdecimal() or int(text) < 10:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of milliseconds, 10 or more")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds, 0.1 or more")
    return seconds


def _endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"'{text}' is not HOST:PORT")
    return host.strip("[]"), int(port)
