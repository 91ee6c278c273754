# SPDX-License-Identifier: Apache-2.0
"""The output of the command line about a lab."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from lab.cloud.handles import ServiceStatus
from lab.cloud.lab import Lab
from lab.core.layout import DEFAULT_PREFIX, VENV

LOGINS = {
    "admin": "everything: all projects, hosts, fault tolerance",
    "manager": "fails over the servers of project demo",
    "demo": "works in project demo, protects its servers",
    "viewer": "reads project demo",
    "outsider": "manages another project",
}


def status_table(statuses: Sequence[ServiceStatus]) -> str:
    """Return the services as a table."""
    rows = [("SERVICE", "STATE", "PID", "PORT", "HOST")]
    rows += [(s.name, s.state, str(s.pid or "-"), str(s.port or "-"), s.host or "-") for s in statuses]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def status_json(statuses: Sequence[ServiceStatus]) -> str:
    """Return the services as JSON."""
    return json.dumps({"services": [asdict(status) for status in statuses]}, indent=2)


def welcome(lab: Lab) -> str:
    """Return the message for a lab that is up: URL, logins, and commands to try."""
    spec = lab.spec()
    option = "" if lab.layout.prefix == DEFAULT_PREFIX else f" --prefix {lab.layout.prefix}"
    command = f"python3 -m lab{option}"
    lines = [""]
    if spec.state.dashboard:
        lines.append(f"Dashboard  {lab.url('dashboard')}")
    lines.append("Logins     user      password              may do")
    lines += [f"           {user:<8}  {spec.passwords[user]}  {may}" for user, may in LOGINS.items()]
    if spec.state.demo and spec.state.colo:
        lines += ["", "Try"]
        if spec.state.dashboard:
            lines.append(
                "  1. in the dashboard, as admin: Admin > Compute > Fault Tolerance, fail over web-1"
            )
        lines += [
            f'  2. in a shell: eval "$({command} env admin)"',
            f"     {_relative(VENV)}/bin/openstack server failover web-1 --wait",
            f"  3. power off a host and watch: {command} host kill {spec.state.hosts[0]}",
        ]
        if spec.is_real:
            lines.append(f"     interruptions of a client of web-1, in another shell: {command} client web-1")
    lines += ["", f"Stop it with: {command} down"]
    return "\n".join(lines)


def _relative(path: object) -> str:
    return str(path).removeprefix(f"{VENV.parent.parent}/")
