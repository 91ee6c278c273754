# SPDX-License-Identifier: Apache-2.0
"""Commands of ``nova``, kept for scripts written for ORBIT.

novaclient takes the last base.Manager subclass it finds in this module's namespace as the extension's manager, so
:class:`FaultToleranceManager` is the only one to be imported here by name.
"""

import sys
from typing import Any

from novaclient import exceptions, utils

from novaclient_colo.fault_tolerance import SIMULATED_NOTE, FaultToleranceManager

__all__ = ["FaultToleranceManager", "do_failover", "do_ft_list"]


def _find_server(cs: Any, name_or_id: str) -> Any:
    try:
        return utils.find_resource(cs.servers, name_or_id, wrap_exception=False)
    except exceptions.NotFound:
        pass
    try:
        return utils.find_resource(cs.servers, name_or_id, wrap_exception=False, all_tenants="1")
    except (exceptions.Forbidden, exceptions.NotFound):
        raise exceptions.CommandError(f"No server with a name or ID of '{name_or_id}' exists.") from None


@utils.arg("server", metavar="<server>", help="Name or ID of an FT server.")
@utils.arg("--force", action="store_true", default=False, help="Fail over although the pair is not healthy.")
def do_failover(cs: Any, args: Any) -> None:
    """Make the secondary of an FT server its primary."""
    try:
        server = _find_server(cs, args.server)
    except exceptions.NoUniqueMatch as error:
        raise exceptions.CommandError(str(error)) from None
    cs.fault_tolerance.failover(server, force=args.force)
    print(f"Failover of server {server.name} requested.")


@utils.arg("--all-tenants", action="store_true", default=False, help="List the FT servers of all projects. Admin only.")
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
