# SPDX-License-Identifier: Apache-2.0
"""``openstack server failover``, ``openstack server ft list`` and ``openstack server ft show``."""

import argparse
import logging
import time
from collections.abc import Iterable
from typing import Any

from novaclient import exceptions as nova_exceptions
from openstack import exceptions as sdk_exceptions
from osc_lib import exceptions
from osc_lib.cli import format_columns
from osc_lib.command import command

from novaclient_colo.fault_tolerance import SIMULATED_NOTE, FaultTolerance

LOG = logging.getLogger(__name__)

POLL_INTERVAL_S = 1.0


def find_server(compute: Any, name_or_id: str) -> Any:
    """Find a server, in the caller's project first and then, if the caller may, in all projects.

    :param compute: openstacksdk's compute proxy
    :raises osc_lib.exceptions.CommandError: none or several
    """
    missing = exceptions.CommandError(f"No server with a name or ID of '{name_or_id}' exists.")
    for all_projects in (False, True):
        try:
            return compute.find_server(name_or_id, ignore_missing=False, all_projects=all_projects)
        except sdk_exceptions.DuplicateResource:
            raise exceptions.CommandError(f"More than one server is named '{name_or_id}': give its ID.") from None
        except sdk_exceptions.NotFoundException:
            continue
        except sdk_exceptions.ForbiddenException:
            break
    raise missing


def note_simulated(pairs: Iterable[FaultTolerance]) -> None:
    """Tell on stderr, so that the output stays machine-readable, that figures are simulated."""
    if any(pair.simulated for pair in pairs):
        LOG.warning(SIMULATED_NOTE)


def describe_hosts(primary: str | None, secondary: str | None) -> str:
    """Say between which hosts a failover goes, as far as the caller may see them."""
    return f" from {primary} to {secondary}" if primary and secondary else ""


class FailoverServer(command.Command):
    """Make the secondary of an FT server its primary"""

    app: Any  # osc-lib's type of it does not know the clients that plugins add

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("server", metavar="<server>", nargs="+", help="FT server(s) to fail over (name or ID)")
        parser.add_argument("--force", action="store_true", help="Fail over although the pair is not healthy")
        parser.add_argument("--wait", action="store_true", help="Wait until the secondary is the primary")
        parser.add_argument(
            "--timeout",
            metavar="<seconds>",
            type=int,
            default=300,
            help="With --wait, how long to wait for all of them together (default: 300)",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        manager = self.app.client_manager.fault_tolerance
        # All names are resolved before the first failover, so that a typing error stops the command and not half of it.
        servers = [find_server(self.app.client_manager.compute, name) for name in parsed_args.server]
        pairs = [manager.get(server) for server in servers]
        errors, requested = [], []
        for pair in pairs:
            try:
                manager.failover(pair, force=parsed_args.force)
            except nova_exceptions.ClientException as error:
                errors.append(f"{pair.name}: {error}")
            else:
                requested.append(pair)
        deadline = time.monotonic() + parsed_args.timeout
        for pair in requested:
            if not parsed_args.wait:
                hosts = describe_hosts(pair.primary_host, pair.secondary_host)
                self._say(f"Failover of server {pair.name}{hosts} requested.")
                continue
            try:
                now = self._wait(pair, deadline)
            except exceptions.CommandError as error:
                errors.append(str(error))
            else:
                hosts = describe_hosts(pair.primary_host, now.primary_host)
                self._say(f"Server {now.name} failed over{hosts}; it is {now.state} now.")
        if errors:
            raise exceptions.CommandError("\n".join(errors))

    def _say(self, line: str) -> None:
        self.app.stdout.write(line + "\n")

    def _wait(self, before: FaultTolerance, deadline: float) -> FaultTolerance:
        """Poll until the epoch grew and the failover is over.

        :raises osc_lib.exceptions.CommandError: it ended otherwise, or not in time
        """
        progress = Progress(self.app.stderr, before.name)
        # A pair that was in error before stays so until the engine takes the request up.
        moved, started = before.state != "error", False
        try:
            while True:
                now = self.app.client_manager.fault_tolerance.get(before)
                moved = moved or (now.state, now.state_reason) != (before.state, before.state_reason)
                if now.state == "error" and moved:
                    raise exceptions.CommandError(f"Failover of server {now.name} failed: {now.state_reason}")
                if now.epoch > before.epoch and now.state != "failing_over":
                    return now
                if started and now.state != "failing_over":
                    raise exceptions.CommandError(
                        f"Server {now.name} was not failed over: {now.state_reason or f'it is {now.state} again'}"
                    )
                started = now.state == "failing_over"
                if time.monotonic() >= deadline:
                    raise exceptions.CommandError(
                        f"Server {now.name} is {now.state} and has not failed over in time; the failover goes on. "
                        f"Follow it with 'openstack server ft show {now.server_id}'."
                    )
                progress.show(now.state)
                time.sleep(min(POLL_INTERVAL_S, max(0.0, deadline - time.monotonic())))
        finally:
            progress.clear()


class Progress:
    """One line that is rewritten, and only where there is a person to read it."""

    def __init__(self, stream: Any, name: str) -> None:
        self.stream, self.name = stream, name
        self.started = time.monotonic()
        self.shown = 0

    def show(self, state: str) -> None:
        """Rewrite the line."""
        if self.stream.isatty():
            line = f"{self.name}: {state}, {time.monotonic() - self.started:.0f} s"
            self.stream.write("\r" + line.ljust(self.shown))
            self.stream.flush()
            self.shown = len(line)

    def clear(self) -> None:
        """Remove the line."""
        if self.shown:
            self.stream.write("\r" + " " * self.shown + "\r")
            self.stream.flush()


class ListFaultTolerance(command.Lister):
    """List FT servers, those that need attention first"""

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
        parser.add_argument("--all-projects", action="store_true", help="List those of all projects (admin only)")
        parser.add_argument("--long", action="store_true", help="List IDs, mode, epoch, reasons and backend too")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[list[str], list[list[Any]]]:
        pairs = self.app.client_manager.fault_tolerance.list(all_tenants=parsed_args.all_projects)
        pairs = sorted(pairs, key=lambda pair: pair.urgency)
        columns = {**self.COLUMNS, **self.LONG_COLUMNS} if parsed_args.long else self.COLUMNS
        note_simulated(pairs)
        return list(columns), [[show(pair) for show in columns.values()] for pair in pairs]


class ShowFaultTolerance(command.ShowOne):
    """Show the fault tolerance of a server"""

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
        server = find_server(self.app.client_manager.compute, parsed_args.server)
        pair = self.app.client_manager.fault_tolerance.get(server)
        row: dict[str, Any] = {name: getattr(pair, name) for name in self.PLAIN}
        row["health_reasons"] = format_columns.ListColumn(pair.health_reasons)
        for side in ("primary", "secondary"):
            members = getattr(pair, side) or {}
            row[f"{side}_host"], row[f"{side}_since"] = members.get("host"), members.get("since")
        row["progress"] = format_columns.DictColumn(pair.progress or {})
        row["checkpoints"] = format_columns.DictColumn(pair.checkpoints)
        row["failovers"] = format_columns.DictColumn(pair.failovers)
        row["actions"] = format_columns.ListColumn([known["name"] for known in pair.actions if known["allowed"]])
        note_simulated([pair])
        return list(row), list(row.values())
