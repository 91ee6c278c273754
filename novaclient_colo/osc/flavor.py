# SPDX-License-Identifier: Apache-2.0
"""``openstack flavor ft ...``: flavors whose servers get a secondary."""

import argparse
from typing import Any

from osc_lib import exceptions
from osc_lib.command import command
from osc_lib.utils import find_resource

from novaclient_colo.flavors import FtFlavor, FtFlavorManager
from novaclient_colo.osc import common
from novaclient_colo.osc.common import positive

COLUMNS = {
    "Name": lambda flavor: flavor.name,
    "VCPUs": lambda flavor: flavor.vcpus,
    "RAM": lambda flavor: flavor.ram,
    "Disk": lambda flavor: flavor.disk,
    "Secondary RAM": lambda flavor: flavor.secondary_ram,
    "Mode": lambda flavor: flavor.mode,
    "Is Public": lambda flavor: flavor.is_public,
}
LONG_COLUMNS = {
    "ID": lambda flavor: flavor.id,
    "Checkpoint Interval Ms": lambda flavor: flavor.checkpoint_interval_ms,
    "Auto Reprotect": lambda flavor: flavor.auto_reprotect,
}


def _shown(flavor: FtFlavor) -> tuple[list[str], list[Any]]:
    row = {
        "id": flavor.id,
        "name": flavor.name,
        "vcpus": flavor.vcpus,
        "ram": flavor.ram,
        "disk": flavor.disk,
    }
    row |= {"fault_tolerant": flavor.enabled, "is_public": flavor.is_public}
    if flavor.enabled:
        row |= {"secondary_ram": flavor.secondary_ram, "mode": flavor.mode}
        row |= {
            "checkpoint_interval_ms": flavor.checkpoint_interval_ms,
            "auto_reprotect": flavor.auto_reprotect,
        }
    return list(row), list(row.values())


def _add_policy(parser: argparse.ArgumentParser, is_new: bool) -> None:
    """Add the options of the policy.

    :param is_new: whether options that are omitted have defaults; otherwise they change nothing
    """

    def default(text: str) -> str:
        return f" ({text})" if is_new else ""

    parser.add_argument(
        "--mode",
        metavar="<mode>",
        choices=common.MODES,
        help=common.MODE_HELP + default("default: colo"),
    )
    parser.add_argument(
        "--checkpoint-interval",
        metavar="<milliseconds>",
        type=positive,
        help="Time between two checkpoints in mode checkpoint, 10 to 60000"
        + default("default: that of the hosts"),
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--auto-reprotect",
        action="store_true",
        default=None,
        help="Replace a lost secondary automatically" + default("default"),
    )
    group.add_argument(
        "--no-auto-reprotect",
        dest="auto_reprotect",
        action="store_false",
        help="Do not replace a lost secondary automatically",
    )


def _policy(parsed_args: argparse.Namespace) -> dict[str, Any]:
    return {
        "mode": parsed_args.mode,
        "checkpoint_interval_ms": parsed_args.checkpoint_interval,
        "auto_reprotect": parsed_args.auto_reprotect,
    }


def _find(manager: FtFlavorManager, name_or_id: str) -> FtFlavor:
    """Find a flavor among all that the caller may see.

    :raises osc_lib.exceptions.CommandError: none or several
    """
    known = manager.list(every=True)
    found = [flavor for flavor in known if flavor.id == name_or_id] or [
        flavor for flavor in known if flavor.name == name_or_id
    ]
    if len(found) != 1:
        raise exceptions.CommandError(
            f"More than one flavor is named '{name_or_id}': give its ID."
            if found
            else f"No flavor with a name or ID of '{name_or_id}' exists."
        )
    return found[0]


class CreateFtFlavor(command.ShowOne):
    """Create an FT flavor, whose servers get a secondary on another host.

    The secondary takes the flavor's RAM twice.
    Example: openstack flavor ft create --vcpus 1 --ram 2048 --disk 20 ft.small
    """

    app: Any

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("name", metavar="<flavor-name>", help="Name of the new flavor")
        parser.add_argument(
            "--id", metavar="<id>", default="auto", help="ID of the new flavor (default: a new UUID)"
        )
        parser.add_argument(
            "--vcpus", metavar="<vcpus>", type=positive, default=1, help="Number of vCPUs (default: 1)"
        )
        parser.add_argument(
            "--ram", metavar="<size-mb>", type=positive, default=256, help="Memory size in MB (default: 256)"
        )
        parser.add_argument(
            "--disk",
            metavar="<size-gb>",
            type=int,
            default=0,
            help="Disk size in GB (default: 0, which is the size of the image)",
        )
        parser.add_argument(
            "--project",
            metavar="<project>",
            action="append",
            default=[],
            help="Project that may use the flavor (name or ID; repeat option to allow several; default: all)",
        )
        _add_policy(parser, is_new=True)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[list[str], list[Any]]:
        clients = self.app.client_manager
        projects = [find_resource(clients.identity.projects, name).id for name in parsed_args.project]
        size = parsed_args.vcpus, parsed_args.ram, parsed_args.disk
        manager = clients.fault_tolerance.flavors
        flavor = manager.create(
            parsed_args.name, *size, projects=projects, flavor_id=parsed_args.id, **_policy(parsed_args)
        )
        return _shown(flavor)


class ListFtFlavor(command.Lister):
    """List FT flavors"""

    app: Any

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--long",
            action="store_true",
            help="List additional fields: ID, checkpoint interval, auto-reprotect",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[list[str], list[list[Any]]]:
        flavors = self.app.client_manager.fault_tolerance.flavors.list()
        return common.table(flavors, COLUMNS, LONG_COLUMNS if parsed_args.long else {})


class SetFtFlavor(command.ShowOne):
    """Make a flavor fault tolerant, or change its fault tolerance policy.

    Existing servers keep the flavor as it was when they were created or last resized.
    """

    app: Any

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("flavor", metavar="<flavor>", help="Flavor to modify (name or ID)")
        _add_policy(parser, is_new=False)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[list[str], list[Any]]:
        manager = self.app.client_manager.fault_tolerance.flavors
        return _shown(manager.set(_find(manager, parsed_args.flavor), **_policy(parsed_args)))


class UnsetFtFlavor(command.ShowOne):
    """Remove fault tolerance from a flavor.

    Existing servers keep the flavor as it was when they were created or last resized.
    """

    app: Any

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("flavor", metavar="<flavor>", help="Flavor to modify (name or ID)")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[list[str], list[Any]]:
        manager = self.app.client_manager.fault_tolerance.flavors
        return _shown(manager.unset(_find(manager, parsed_args.flavor)))
