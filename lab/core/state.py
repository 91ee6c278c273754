# SPDX-License-Identifier: Apache-2.0
"""The settings of one lab, stored in its prefix for later commands."""

import json
import secrets
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from lab.core.errors import RefusalError
from lab.core.layout import Layout, write_private

MAX_HOSTS = 26
#: The themes that Horizon ships.
THEMES = ("default", "material")
#: Kinds of compute hosts: processes with simulated guests, or machines with libvirt and QEMU.
HYPERVISORS = ("simulated", "real")
DEFAULT_HOSTS = 3
#: Networks of a real host: to the other hosts, to the cloud's services, to the guests' users.
LINKS = ("replication", "management", "guest")

#: database -> the database user that owns it
DATABASES: dict[str, str] = {
    "keystone": "keystone",
    "placement": "placement",
    "glance": "glance",
    "neutron": "neutron",
    "nova_api": "nova",
    "nova_cell0": "nova",
    "nova": "nova",
    "nova_colo": "nova_colo",
}
#: cloud user -> project
USERS: dict[str, str] = {
    "admin": "admin",
    "demo": "demo",
    "manager": "demo",
    "viewer": "demo",
    "outsider": "other",
    "service": "service",
}

_SECRETS = (
    *USERS,
    "database:root",
    *(f"database:{user}" for user in sorted(set(DATABASES.values()))),
    "broker",
    "horizon-secret-key",
)


def host_names(count: int) -> list[str]:
    """Return the names of ``count`` compute hosts: compute-a, compute-b, ..."""
    if not 1 <= count <= MAX_HOSTS:
        raise RefusalError(f"a lab has 1 to {MAX_HOSTS} compute hosts, not {count}")
    return [f"compute-{letter}" for letter in string.ascii_lowercase[:count]]


@dataclass
class State:
    """The settings of one lab.

    :ivar hosts: names of the compute hosts
    :ivar ports: TCP port of each service
    :ivar dashboard: with Horizon
    :ivar theme: Horizon's theme
    :ivar colo: with fault tolerance; else it is a stock OpenStack
    :ivar demo: with demo servers
    :ivar hypervisor: kind of its hosts, one of HYPERVISORS
    :ivar network: third number of the addresses in the management network of real hosts, else None
    :ivar short_intervals: services poll and retry more often than those of a cloud would
    """

    hosts: list[str] = field(default_factory=lambda: host_names(DEFAULT_HOSTS))
    ports: dict[str, int] = field(default_factory=dict)
    dashboard: bool = True
    theme: str = "default"
    colo: bool = True
    demo: bool = True
    hypervisor: str = "simulated"
    network: int | None = None
    short_intervals: bool = False

    @classmethod
    def with_hosts(cls, count: int) -> "State":
        """Return a new state with ``count`` compute hosts."""
        return cls(hosts=host_names(count))

    @classmethod
    def load(cls, layout: Layout) -> "State | None":
        """Return the stored state, or None if there is none."""
        try:
            return cls(**json.loads(layout.state_file.read_text()))
        except FileNotFoundError:
            return None

    def save(self, layout: Layout) -> None:
        """Store the state in the prefix."""
        write_private(layout.state_file, json.dumps(asdict(self), indent=2) + "\n")

    def grow_to(self, hosts: int) -> None:
        """Set the number of compute hosts.

        :raises RefusalError: the lab has more
        """
        names = host_names(hosts)
        if len(names) < len(self.hosts):
            raise RefusalError(
                f"this lab has {len(self.hosts)} compute hosts; to have fewer, delete it first:"
                " python3 -m lab down --purge"
            )
        self.hosts = names


def load_passwords(layout: Layout) -> dict[str, str]:
    """Return the stored passwords.

    :raises FileNotFoundError: there are none
    """
    passwords: dict[str, str] = json.loads(layout.passwords_file.read_text())
    return passwords


def ensure_passwords(layout: Layout) -> dict[str, str]:
    """Return the lab's passwords; generate missing ones, of letters and digits, which need no quoting."""
    try:
        known: Mapping[str, str] = load_passwords(layout)
    except FileNotFoundError:
        known = {}
    passwords = {name: known.get(name) or _generate() for name in _SECRETS}
    write_private(layout.passwords_file, json.dumps(passwords, indent=2) + "\n")
    return passwords


def _generate() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(20))
