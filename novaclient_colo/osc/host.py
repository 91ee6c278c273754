# SPDX-License-Identifier: Apache-2.0
"""``openstack compute ft host list``."""

import argparse
from typing import Any

from osc_lib.cli import format_columns
from osc_lib.command import command

from novaclient_colo.osc import common


class ListFtHost(command.Lister):
    """List the hosts that can carry replicas of FT servers (admin only)"""

    app: Any

    COLUMNS = {
        "Host": lambda host: host.host,
        "Agent": lambda host: host.agent["state"],
        "Capable": lambda host: host.capable,
        "Primaries": lambda host: host.primaries,
        "Secondaries": lambda host: host.secondaries,
        "Reserved RAM MB": lambda host: host.reserved_memory_mb,
        "Reasons": lambda host: format_columns.ListColumn(host.reasons),
    }
    LONG_COLUMNS = {
        "Seen At": lambda host: host.agent["seen_at"],
        "Agent Version": lambda host: host.agent["version"],
        "Backend": lambda host: host.agent["backend"],
        "Versions": lambda host: format_columns.DictColumn(host.versions),
        "Fenced Since": lambda host: host.fenced_since,
    }

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--long",
            action="store_true",
            help="List additional fields: details of the agent, versions, fencing",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[list[str], list[list[Any]]]:
        hosts = self.app.client_manager.fault_tolerance.hosts()
        return common.table(hosts, self.COLUMNS, self.LONG_COLUMNS if parsed_args.long else {})
