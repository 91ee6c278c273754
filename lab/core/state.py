# SPDX-License-Identifier: Apache-2.0
"""What was chosen for one lab, kept in its prefix so that every later command finds the same lab."""

import json
import secrets
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from lab.core.errors import RefusalError
from lab.core.layout import Layout, write_private

MAX_HOSTS = 26
#: Those that Horizon ships.
THEMES = ("default", "material")
#: What compute hosts can be: processes with guests that are only written down, or machines with libvirt and QEMU.
HYPERVISORS = ("simulated", "real")
DEFAULT_HOSTS = 3
#: What a real host is cabled to: its twins' hosts, the cloud's services, the guests' users.
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
    """The choices of one lab.

    ``hosts`` are the compute hosts, ``ports`` the TCP port of each service, ``dashboard`` says whether Horizon is part
    of it, ``theme`` which of its themes Horizon has, ``colo`` whether fault tolerance is part of it (else it is a stock
    OpenStack), ``demo`` whether servers are made in it, ``hypervisor`` which of HYPERVISORS its hosts have, ``network`` the
    third number of the addresses in the management network of real hosts, None for simulated ones, ``short_intervals`` whether
    services look and retry more often than a cloud's would.
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
        """Return the state kept in the prefix, None when there is none."""
        try:
            return cls(**json.loads(layout.state_file.read_text()))
        except FileNotFoundError:
            return None

    def save(self, layout: Layout) -> None:
        """Keep the state in the prefix."""
        write_private(layout.state_file, json.dumps(asdict(self), indent=2) + "\n")

    def grow_to(self, hosts: int) -> None:
        """Have ``hosts`` compute hosts. Raises RefusalError when that would be fewer than before."""
        names = host_names(hosts)
        if len(names) < len(self.hosts):
            raise RefusalError(
                f"this lab has {len(self.hosts)} compute hosts; for fewer start anew: python3 -m lab down --purge"
            )
        self.hosts = names


def load_passwords(layout: Layout) -> dict[str, str]:
    """Return the passwords kept in the prefix; raises FileNotFoundError when there are none."""
    passwords: dict[str, str] = json.loads(layout.passwords_file.read_text())
    return passwords


def ensure_passwords(layout: Layout) -> dict[str, str]:
    """Return the lab's passwords, generating those that are missing. Letters and digits only: no quoting anywhere."""
    try:
        known: Mapping[str, str] = load_passwords(layout)
    except FileNotFoundError:
        known = {}
    passwords = {name: known.get(name) or _generate() for name in _SECRETS}
    write_private(layout.passwords_file, json.dumps(passwords, indent=2) + "\n")
    return passwords


def _generate() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(20))
