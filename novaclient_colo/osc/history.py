# SPDX-License-Identifier: Apache-2.0
"""``openstack server ft event list`` and ``openstack server ft checkpoint list``."""

import argparse
from collections.abc import Mapping
from typing import Any

from cliff import columns
from osc_lib.command import command

from novaclient_colo.osc import common


class Milliseconds(columns.FormattableColumn[float | None]):
    """A duration, rounded for people only."""

    def human_readable(self) -> str:
        return "None" if self._value is None else str(round(self._value, 1))


class EventKind(columns.FormattableColumn[str]):
    """The kind of an event, in words for people only."""

    #: Operations of the engine whose names differ from those that users know.
    WORDS: Mapping[str, str] = {
        "follow": "update records",
        "move_secondary": "migrate secondary",
        "run_alone": "run unprotected",
    }

    def human_readable(self) -> str:
        words = self._value.removeprefix("ft-").replace("-", " ").replace("_", " ")
        return self.WORDS.get(self._value, words)


class ListEvent(command.Lister):
    """List the events of an FT server, newest first"""

    app: Any

    COLUMNS = {
        "At": lambda event: event.at,
        "Level": lambda event: event.level,
        "Kind": lambda event: EventKind(event.kind),
        "Message": lambda event: event.message,
    }
    LONG_COLUMNS = {
        "ID": lambda event: event.id,
        "Request ID": lambda event: event.request_id,
        "User ID": lambda event: event.user_id,
    }

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("server", metavar="<server>", help="FT server (name or ID)")
        parser.add_argument(
            "--limit",
            metavar="<number>",
            type=common.positive,
            help="Maximum number of events to list, newest first (default: all)",
        )
        parser.add_argument(
            "--long", action="store_true", help="List additional fields: IDs of event, request and user"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[list[str], list[list[Any]]]:
        server = common.find_server(self.app.client_manager.compute, parsed_args.server)
        events = self.app.client_manager.fault_tolerance.events(server, limit=parsed_args.limit)
        return common.table(events, self.COLUMNS, self.LONG_COLUMNS if parsed_args.long else {})


class ListCheckpoint(command.Lister):
    """List the number of checkpoints of an FT server by cause, and their pauses, oldest interval first.

    Example: openstack server ft checkpoint list --since 2026-01-31T00:00:00Z --until 2026-02-01T00:00:00Z
    web-1
    """

    app: Any

    COLUMNS = {
        "Start": lambda bucket: bucket.start,
        "Seconds": lambda bucket: bucket.seconds,
        "Mismatch": lambda bucket: bucket.mismatch,
        "Periodic": lambda bucket: bucket.periodic,
        "Forced": lambda bucket: bucket.forced,
        "Pause Mean Ms": lambda bucket: Milliseconds(bucket.pause_ms["mean"]),
        "Pause Max Ms": lambda bucket: Milliseconds(bucket.pause_ms["max"]),
    }

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("server", metavar="<server>", help="FT server (name or ID)")
        parser.add_argument(
            "--since",
            metavar="<time>",
            help="Start of the period (ISO 8601, in UTC; default: an hour before its end)",
        )
        parser.add_argument(
            "--until", metavar="<time>", help="End of the period (ISO 8601, in UTC; default: now)"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[list[str], list[list[Any]]]:
        pair = common.find_pair(self.app, parsed_args.server)
        history = self.app.client_manager.fault_tolerance.checkpoints(
            pair, since=parsed_args.since, until=parsed_args.until
        )
        common.note_simulated([pair])
        return common.table(history.buckets, self.COLUMNS)
