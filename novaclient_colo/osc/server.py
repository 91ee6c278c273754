# SPDX-License-Identifier: Apache-2.0
"""``openstack server ft list`` and ``openstack server ft show``."""

import argparse
import io
import time
from collections.abc import Iterable
from typing import Any

from osc_lib import exceptions, utils
from osc_lib.cli import format_columns
from osc_lib.command import command

from novaclient_colo.fault_tolerance import HEALTH_SEVERITY, STATE_SEVERITY
from novaclient_colo.osc import common

#: Move the cursor home and erase everything below.
CLEAR = "\x1b[H\x1b[J"


def _several(which: str, values: Iterable[str]) -> str:
    return f"List only servers {which}: {', '.join(values)} (repeat option to list several)"


class ListFaultTolerance(command.Lister):
    """List FT servers, those that need attention first.

    Example: openstack server ft list --state degraded --state error
    """

    app: Any

    COLUMNS = {
        "Name": lambda pair: pair.name,
        "Protection": lambda pair: pair.state,
        "Health": lambda pair: pair.health,
        "Primary Host": lambda pair: pair.primary_host,
        "Secondary Host": lambda pair: pair.secondary_host,
        "Checkpoints": lambda pair: pair.checkpoints["total"],
        "Failovers": lambda pair: pair.failovers["total"],
    }
    LONG_COLUMNS = {
        "Server ID": lambda pair: pair.server_id,
        "Project ID": lambda pair: pair.project_id,
        "Mode": lambda pair: pair.mode,
        "Epoch": lambda pair: pair.epoch,
        "State Reason": lambda pair: pair.state_reason,
        "Health Reasons": lambda pair: format_columns.ListColumn(pair.health_reasons),
        "Backend": lambda pair: pair.backend,
    }

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--all-projects", action="store_true", help="List servers of all projects (admin only)"
        )
        parser.add_argument(
            "--name", metavar="<name>", help="List only servers whose name contains this text"
        )
        parser.add_argument(
            "--state",
            metavar="<state>",
            action="append",
            choices=tuple(STATE_SEVERITY),
            help=_several("in this state", STATE_SEVERITY),
        )
        parser.add_argument(
            "--health",
            metavar="<health>",
            action="append",
            choices=tuple(HEALTH_SEVERITY),
            help=_several("of this health", HEALTH_SEVERITY),
        )
        parser.add_argument(
            "--host", metavar="<host>", help="List only servers with a replica on this host (admin only)"
        )
        parser.add_argument(
            "--limit",
            metavar="<number>",
            type=common.positive,
            help="Maximum number of servers to list, those that need attention first (default: all)",
        )
        parser.add_argument(
            "--long", action="store_true", help="List additional fields: IDs, mode, epoch, reasons, backend"
        )
        parser.add_argument(
            "--watch",
            metavar="<seconds>",
            type=common.positive,
            nargs="?",
            const=5,
            help="Refresh the list in place at this interval until Ctrl-C (default: 5)",
        )
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """List once, or repeatedly with --watch."""
        if parsed_args.watch is None:
            return super().run(parsed_args)
        screen = self.app.stdout
        if not screen.isatty():
            raise exceptions.CommandError("--watch requires a terminal. Omit it to list the servers once.")
        try:
            while True:
                self.app.stdout = io.StringIO()
                super().run(parsed_args)
                screen.write(
                    f"{CLEAR}{self.app.stdout.getvalue()}\n{time.strftime('%H:%M:%S')}  Ctrl-C ends\n"
                )
                screen.flush()
                time.sleep(parsed_args.watch)
        except KeyboardInterrupt:
            return 0
        finally:
            self.app.stdout = screen

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[list[str], list[list[Any]]]:
        filters = {name: getattr(parsed_args, name) for name in ("name", "state", "health", "host")}
        order = {"sort_key": "health", "limit": parsed_args.limit}
        pairs = self.app.client_manager.fault_tolerance.list(
            all_tenants=parsed_args.all_projects, **filters, **order
        )
        pairs = sorted(pairs, key=lambda pair: pair.urgency)
        common.note_simulated(pairs)
        return common.table(pairs, self.COLUMNS, self.LONG_COLUMNS if parsed_args.long else {})


class Failovers(format_columns.DictColumn):
    """A summary of failovers. For people without members that are empty: nothing between two commas."""

    def human_readable(self) -> str:
        return utils.format_dict({name: value for name, value in self._value.items() if value != {}})


class ShowFaultTolerance(command.ShowOne):
    """Show fault tolerance details of a server"""

    app: Any

    PLAIN = (
        "server_id", "name", "project_id", "flavor", "ft_status", "state", "state_reason", "health",
        "health_reasons", "mode", "mode_policy", "backend", "epoch", "protected_since", "stale_since",
    )  # fmt: skip

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("server", metavar="<server>", help="FT server (name or ID)")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[list[str], list[Any]]:
        pair = common.find_pair(self.app, parsed_args.server)
        row: dict[str, Any] = {name: getattr(pair, name) for name in self.PLAIN}
        row["health_reasons"] = format_columns.ListColumn(pair.health_reasons)
        for role in ("primary", "secondary"):
            members = getattr(pair, role) or {}
            row[f"{role}_host"], row[f"{role}_since"] = members.get("host"), members.get("since")
        row["progress"] = format_columns.DictColumn(pair.progress or {})
        row["checkpoints"] = format_columns.DictColumn(pair.checkpoints)
        row["failovers"] = Failovers(pair.failovers)
        row["actions"] = format_columns.ListColumn(
            [known["name"] for known in pair.actions if known["allowed"]]
        )
        common.note_simulated([pair])
        return list(row), list(row.values())
