# SPDX-License-Identifier: Apache-2.0
"""``openstack server failover`` and the other commands for actions on pairs: ``openstack server ft ...``."""

import argparse
import time
from typing import Any

from novaclient import exceptions as nova_exceptions
from osc_lib import exceptions
from osc_lib.command import command

from novaclient_colo.fault_tolerance import POLL_INTERVAL_S, FaultTolerance, FaultToleranceManager
from novaclient_colo.osc import common


class _Act(command.Command):
    """Request an action on one or several pairs."""

    app: Any  # its type in osc-lib lacks the clients that plugins add
    PURPOSE: str  # of naming the servers, in the help text
    UNTIL: str  # condition of --wait, in the help text
    METHOD: str  # of FaultToleranceManager
    REQUEST: common.Request
    UNDER_WAY: tuple[str, ...] = ()  # states in which --wait does not fail on a refused request

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        common.add_servers(parser, self.PURPOSE)
        common.add_waiting(parser, self.UNTIL)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        # All names are resolved before the first request, so that a typing error stops the whole command.
        compute, manager = self.app.client_manager.compute, self.app.client_manager.fault_tolerance
        servers = [common.find_server(compute, name) for name in parsed_args.server]
        deadline = time.monotonic() + parsed_args.timeout
        pairs = []
        for server in servers:
            with common.naming(server):
                pairs.append(self.find(manager, server, deadline if parsed_args.wait else 0.0))
        errors, requested = [], []
        for pair in pairs:
            try:
                getattr(manager, self.METHOD)(pair, **self.arguments(parsed_args))
            except nova_exceptions.ClientException as error:
                if not (parsed_args.wait and error.code == 409 and manager.get(pair).state in self.UNDER_WAY):
                    errors.append(f"{pair.name}: {error}")
                    continue
            requested.append(pair)
        for pair in requested:
            if not parsed_args.wait:
                self.app.stdout.write(f"{self.asked(pair, parsed_args)}\n")
                continue
            try:
                now = common.wait(manager, pair, self.request(parsed_args), deadline, self.app.stderr)
            except exceptions.CommandError as error:
                errors.append(str(error))
            else:
                self.app.stdout.write(f"{self.is_done(pair, now)}\n")
        if errors:
            raise exceptions.CommandError("\n".join(errors))

    def find(self, manager: FaultToleranceManager, server: Any, deadline: float) -> FaultTolerance:
        """Return a server's pair.

        :param deadline: of waiting for it, in seconds of time.monotonic()
        """
        return manager.get(server)

    def arguments(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        """Return the arguments of the method besides the pair."""
        return {}

    def request(self, parsed_args: argparse.Namespace) -> common.Request:
        """Return the request to wait for."""
        return self.REQUEST

    def asked(self, pair: FaultTolerance, parsed_args: argparse.Namespace) -> str:
        """Return the message that the action was requested."""
        return f"{self.REQUEST.what.capitalize()} of server {pair.name} requested."

    def is_done(self, before: FaultTolerance, now: FaultTolerance) -> str:
        """Return the message that the action is done."""
        return f"Server {now.name} is {now.state} now."


def _from_to(primary: str | None, secondary: str | None) -> str:
    """Return the hosts of a failover as a phrase, empty when the caller may not see them."""
    return f" from {primary} to {secondary}" if primary and secondary else ""


class FailoverServer(_Act):
    """Fail an FT server over to its secondary.

    Example: openstack server failover web-1 --wait
    """

    METHOD = "failover"
    PURPOSE, UNTIL = "to fail over", "the secondary is the primary"
    REQUEST = common.Request(
        "failover",
        "was not failed over",
        "failing_over",
        lambda before, now: now.epoch > before.epoch and now.state != "failing_over",
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--force", action="store_true", help="Fail over even if the state is not protected (admin only)"
        )
        return parser

    def arguments(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        return {"force": parsed_args.force}

    def asked(self, pair: FaultTolerance, parsed_args: argparse.Namespace) -> str:
        return f"Failover of server {pair.name}{_from_to(pair.primary_host, pair.secondary_host)} requested."

    def is_done(self, before: FaultTolerance, now: FaultTolerance) -> str:
        where = _from_to(before.primary_host, now.primary_host)
        return f"Server {now.name} failed over{where}; it is {now.state} now."


class TestFailoverServer(FailoverServer):
    """Test the failover of an FT server between two healthy hosts.

    Example: openstack server ft test failover --return --wait --timeout 900 web-1
    """

    __test__ = False  # no test of pytest's
    METHOD = "test_failover"
    PURPOSE, UNTIL = (
        "to test",
        "the secondary is the primary, or with --return until the server is back and protected",
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = _Act.get_parser(self, prog_name)
        parser.add_argument(
            "--return",
            dest="and_return",
            action="store_true",
            help="Fail back as soon as the server is protected again",
        )
        return parser

    def arguments(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        return {"and_return": parsed_args.and_return}

    def request(self, parsed_args: argparse.Namespace) -> common.Request:
        if not parsed_args.and_return:
            return self.REQUEST
        return common.Request(
            "test failover",
            "is not back",
            None,
            lambda before, now: now.epoch >= before.epoch + 2 and now.state == "protected",
        )

    def asked(self, pair: FaultTolerance, parsed_args: argparse.Namespace) -> str:
        where = _from_to(pair.primary_host, pair.secondary_host)
        back = " and back" if parsed_args.and_return else ""
        return f"Test failover of server {pair.name}{where}{back} requested."

    def is_done(self, before: FaultTolerance, now: FaultTolerance) -> str:
        if now.epoch < before.epoch + 2:
            return super().is_done(before, now)
        where = f" to {now.primary_host}" if now.primary_host else ""
        return f"Server {now.name} failed over and back{where}; it is {now.state} now."


class ProtectServer(_Act):
    """Protect an FT server again after it was unprotected.

    With --wait, also wait for a secondary that is created automatically, as for a new server or after a
    failover.
    Example: openstack server ft protect --wait web-1
    """

    METHOD = "protect"
    PURPOSE, UNTIL = "to protect", "the server is protected"
    REQUEST = common.Request(
        "protection", "", "starting", lambda before, now: now.state == "protected", tried_again=True
    )
    UNDER_WAY: tuple[str, ...] = ("starting", "protected", "failing_over", "degraded")

    def find(self, manager: FaultToleranceManager, server: Any, deadline: float) -> FaultTolerance:
        while True:
            try:
                return super().find(manager, server, deadline)
            except nova_exceptions.Conflict:  # a new server may have no pair yet
                if not self.UNDER_WAY or time.monotonic() >= deadline:
                    raise
            time.sleep(POLL_INTERVAL_S)

    def is_done(self, before: FaultTolerance, now: FaultTolerance) -> str:
        where = (
            f": primary on {now.primary_host}, secondary on {now.secondary_host}"
            if now.secondary_host
            else ""
        )
        return f"Server {now.name} is protected now{where}."


class ResumeServer(ProtectServer):
    """Resume the protection of an FT server after it was suspended"""

    METHOD = "resume"
    PURPOSE = "whose protection to resume"
    UNDER_WAY = ()


class UnprotectServer(_Act):
    """Remove the secondary of an FT server and release its reservation.

    The server keeps running, without a secondary until 'server ft protect'.
    """

    METHOD = "unprotect"
    PURPOSE, UNTIL = "to unprotect", "the secondary is removed"
    REQUEST = common.Request(
        "removal of the protection",
        "is still protected",
        None,
        lambda before, now: now.rests_in("unprotected"),
    )


class SuspendServer(_Act):
    """Remove the secondary of an FT server and keep its reservation.

    The server keeps running, without a secondary until 'server ft resume'.
    """

    METHOD = "suspend"
    PURPOSE, UNTIL = "whose protection to suspend", "the secondary is removed"
    REQUEST = common.Request(
        "suspension of the protection",
        "is still protected",
        None,
        lambda before, now: now.rests_in("suspended"),
    )


class MigrateSecondary(_Act):
    """Move the secondary of an FT server to another host.

    The server runs unprotected while its secondary moves.
    """

    METHOD = "migrate_secondary"
    PURPOSE, UNTIL = "whose secondary to move", "the server is protected again"
    REQUEST = common.Request(
        "move of the secondary",
        "has its secondary where it was",
        "starting",
        lambda before, now: now.state == "protected" and now.secondary != before.secondary,
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--host",
            metavar="<host>",
            help="Host to move the secondary to (admin only; default: the next one with capacity)",
        )
        return parser

    def arguments(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        return {"host": parsed_args.host}

    def is_done(self, before: FaultTolerance, now: FaultTolerance) -> str:
        where = _from_to(before.secondary_host, now.secondary_host)
        return f"The secondary of server {now.name} moved{where}; it is {now.state} now."


class SetMode(_Act):
    """Set the mode in which an FT server and its secondary synchronise.

    Example: openstack server ft set mode hybrid web-1
    """

    METHOD = "set_mode"
    PURPOSE, UNTIL = "whose mode to set", "the mode is set"

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = command.Command.get_parser(self, prog_name)
        parser.add_argument("mode", metavar="<mode>", choices=common.MODES, help=common.MODE_HELP)
        common.add_servers(parser, self.PURPOSE)
        common.add_waiting(parser, self.UNTIL)
        return parser

    def request(self, parsed_args: argparse.Namespace) -> common.Request:
        return common.Request(
            "change of the mode", "", None, lambda before, now: now.mode_policy == parsed_args.mode
        )

    def arguments(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        return {"mode": parsed_args.mode}

    def asked(self, pair: FaultTolerance, parsed_args: argparse.Namespace) -> str:
        return f"Mode {parsed_args.mode} of server {pair.name} requested."

    def is_done(self, before: FaultTolerance, now: FaultTolerance) -> str:
        return f"The mode of server {now.name} is {now.mode_policy} now."
