# SPDX-License-Identifier: Apache-2.0
"""Commands of ``nova``, kept for scripts written for ORBIT.

novaclient takes the last base.Manager subclass in this module's namespace as the extension's manager, so
:class:`FaultToleranceManager` must be the only one imported here by name.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from novaclient import exceptions, utils

# novaclient expects the manager in this namespace
from novaclient_colo.fault_tolerance import SIMULATED_NOTE, FaultToleranceManager  # noqa: F401


def _find_server(cs: Any, name_or_id: str) -> Any:
    try:
        return utils.find_resource(cs.servers, name_or_id, wrap_exception=False)
    except exceptions.NotFound:
        pass
    try:
        return utils.find_resource(cs.servers, name_or_id, wrap_exception=False, all_tenants="1")
    except (exceptions.Forbidden, exceptions.NotFound):
        raise exceptions.CommandError(f"No server with a name or ID of '{name_or_id}' exists.") from None


def _server(cs: Any, args: Any) -> Any:
    try:
        return _find_server(cs, args.server)
    except exceptions.NoUniqueMatch as error:
        raise exceptions.CommandError(str(error)) from None


def _request(cs: Any, args: Any, request: Callable[..., Any], what: str, **more: Any) -> None:
    """Request an action on a server's pair, and print that it was requested."""
    server = _server(cs, args)
    request(server, **more)
    print(f"{what} of server {server.name} requested.")


@utils.arg("server", metavar="<server>", help="Name or ID of an FT server.")
@utils.arg(
    "--force",
    action="store_true",
    default=False,
    help="Fail over even if the state is not protected. Admin only.",
)
def do_failover(cs: Any, args: Any) -> None:
    """Fail an FT server over to its secondary."""
    _request(cs, args, cs.fault_tolerance.failover, "Failover", force=args.force)


@utils.arg("server", metavar="<server>", help="Name or ID of an FT server.")
def do_ft_protect(cs: Any, args: Any) -> None:
    """Protect an FT server again after it was unprotected."""
    _request(cs, args, cs.fault_tolerance.protect, "Protection")


@utils.arg("server", metavar="<server>", help="Name or ID of an FT server.")
def do_ft_unprotect(cs: Any, args: Any) -> None:
    """Remove the secondary of an FT server and release its reservation."""
    _request(cs, args, cs.fault_tolerance.unprotect, "Removal of the protection")


@utils.arg("server", metavar="<server>", help="Name or ID of an FT server.")
def do_ft_suspend(cs: Any, args: Any) -> None:
    """Remove the secondary of an FT server and keep its reservation."""
    _request(cs, args, cs.fault_tolerance.suspend, "Suspension of the protection")


@utils.arg("server", metavar="<server>", help="Name or ID of an FT server.")
def do_ft_resume(cs: Any, args: Any) -> None:
    """Resume the protection of an FT server after it was suspended."""
    _request(cs, args, cs.fault_tolerance.resume, "Protection")


@utils.arg("server", metavar="<server>", help="Name or ID of an FT server.")
@utils.arg(
    "--return",
    dest="and_return",
    action="store_true",
    default=False,
    help="Fail back as soon as the server is protected again.",
)
def do_ft_test_failover(cs: Any, args: Any) -> None:
    """Test the failover of an FT server between two healthy hosts."""
    _request(cs, args, cs.fault_tolerance.test_failover, "Test failover", and_return=args.and_return)


@utils.arg("server", metavar="<server>", help="Name or ID of an FT server.")
def do_ft_show(cs: Any, args: Any) -> None:
    """Show fault tolerance details of a server."""
    pair = cs.fault_tolerance.get(_server(cs, args))
    shown = {
        name: value if isinstance(value, str | int | None) else json.dumps(value)
        for name, value in pair.to_dict().items()
    }
    utils.print_dict(
        {**shown, "actions": ", ".join(known["name"] for known in pair.actions if known["allowed"])}
    )
    if pair.simulated:
        print(SIMULATED_NOTE, file=sys.stderr)


@utils.arg("server", metavar="<server>", help="Name or ID of an FT server.")
@utils.arg(
    "--limit",
    metavar="<number>",
    type=int,
    default=None,
    help="Maximum number of events to list, newest first.",
)
def do_ft_event_list(cs: Any, args: Any) -> None:
    """List the events of an FT server, newest first."""
    if args.limit is not None and args.limit < 1:
        raise exceptions.CommandError(f"--limit {args.limit}: must be 1 or greater.")
    events = cs.fault_tolerance.events(_server(cs, args), limit=args.limit)
    utils.print_list(events, ["At", "Level", "Kind", "Message"], sortby_index=None)


@utils.arg("name", metavar="<name>", help="Name of the new flavor.")
@utils.arg("ram", metavar="<ram>", type=int, help="Memory size in MB. The secondary takes it twice.")
@utils.arg("disk", metavar="<disk>", type=int, help="Disk size in GB.")
@utils.arg("vcpus", metavar="<vcpus>", type=int, help="Number of vCPUs.")
@utils.arg(
    "--mode",
    metavar="<mode>",
    default=None,
    help="Mode of its servers: colo (default), checkpoint or hybrid.",
)
@utils.arg(
    "--checkpoint-interval",
    metavar="<ms>",
    type=int,
    default=None,
    help="Time between two checkpoints in mode checkpoint, 10 to 60000.",
)
def do_ft_flavor_create(cs: Any, args: Any) -> None:
    """Create an FT flavor, whose servers get a secondary on another host."""
    policy = {"mode": args.mode, "checkpoint_interval_ms": args.checkpoint_interval}
    flavor = cs.fault_tolerance.flavors.create(args.name, args.vcpus, args.ram, args.disk, **policy)
    _print_flavors([flavor])


def do_ft_flavor_list(cs: Any, args: Any) -> None:
    """List FT flavors."""
    _print_flavors(cs.fault_tolerance.flavors.list())


def _print_flavors(flavors: list[Any]) -> None:
    utils.print_list(
        flavors, ["ID", "Name", "VCPUs", "RAM", "Secondary RAM", "Disk", "Mode"], sortby_index=None
    )


@utils.arg(
    "--all-tenants",
    action="store_true",
    default=False,
    help="List servers of all projects. Admin only.",
)
def do_ft_list(cs: Any, args: Any) -> None:
    """List FT servers, those that need attention first."""
    pairs = sorted(cs.fault_tolerance.list(all_tenants=args.all_tenants), key=lambda pair: pair.urgency)
    columns = {
        "ID": lambda pair: pair.server_id,
        "Name": lambda pair: pair.name,
        "Protection": lambda pair: pair.state,
        "Health": lambda pair: pair.health,
        "Primary Host": lambda pair: pair.primary_host or "-",
        "Secondary Host": lambda pair: pair.secondary_host or "-",
        "Checkpoints": lambda pair: pair.checkpoints["total"],
        "Failovers": lambda pair: pair.failovers["total"],
    }
    utils.print_list(pairs, list(columns), formatters=columns, sortby_index=None)
    if any(pair.simulated for pair in pairs):
        print(SIMULATED_NOTE, file=sys.stderr)
