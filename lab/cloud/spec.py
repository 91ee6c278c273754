# SPDX-License-Identifier: Apache-2.0
"""The description of one lab: folders, ports, addresses, passwords."""

from collections.abc import Mapping
from dataclasses import dataclass

from lab.core.addresses import LOOPBACK, OWN, management
from lab.core.layout import Layout
from lab.core.state import DATABASES, USERS, State

REGION = "RegionOne"

#: catalog type -> (service name, path below its port)
CATALOG: dict[str, tuple[str, str]] = {
    "placement": ("placement", ""),
    "image": ("glance", ""),
    "network": ("neutron", ""),
    "compute": ("nova-api", "/v2.1"),
}


@dataclass(frozen=True)
class Spec:
    """The description of one lab. It starts and writes nothing."""

    layout: Layout
    state: State
    passwords: Mapping[str, str]

    def port(self, service: str) -> int:
        """Return the TCP port of ``service``."""
        return self.state.ports[service]

    @property
    def is_real(self) -> bool:
        """Whether its compute hosts are real, with libvirt and QEMU."""
        return self.state.hypervisor == "real"

    def listens(self, service: str) -> str:
        """Return the address that ``service`` listens on, which real hosts, if any, can reach."""
        if self.state.network is None or service == "horizon":
            return LOOPBACK
        return management(self.state.network, OWN)

    def address(self, service: str, path: str = "") -> str:
        """Return the URL of ``service``."""
        return f"http://{self.listens(service)}:{self.port(service)}{path}"

    @property
    def auth_url(self) -> str:
        """Keystone's URL."""
        return self.address("keystone", "/v3")

    def endpoint(self, catalog_type: str) -> str:
        """Return the catalog's URL of ``compute``, ``image``, ``network``, ``placement`` or ``identity``."""
        if catalog_type == "identity":
            return self.auth_url
        service, path = CATALOG[catalog_type]
        return self.address(service, path)

    def database_url(self, database: str) -> str:
        """Return the SQLAlchemy URL of ``database``, with its password."""
        user = DATABASES[database]
        password = self.passwords[f"database:{user}"]
        socket = self.layout.database_socket
        return f"mysql+pymysql://{user}:{password}@localhost/{database}?charset=utf8&unix_socket={socket}"

    def transport_url(self) -> str:
        """Return the oslo.messaging URL of the broker, with its password."""
        return f"rabbit://lab:{self.passwords['broker']}@{self.listens('rabbitmq')}:{self.port('rabbitmq')}/"

    def service_auth(self) -> dict[str, str]:
        """Return the keystoneauth options of a service that calls another."""
        return {
            "auth_type": "password",
            "auth_url": self.auth_url,
            "username": "service",
            "password": self.passwords["service"],
            "project_name": "service",
            "user_domain_id": "default",
            "project_domain_id": "default",
            "region_name": REGION,
        }

    def user_environment(self, user: str, project: str | None = None) -> dict[str, str]:
        """Return the OS_* variables of a cloud user, with OS_PASSWORD."""
        return {
            "OS_AUTH_URL": self.auth_url,
            "OS_AUTH_TYPE": "password",
            "OS_IDENTITY_API_VERSION": "3",
            "OS_REGION_NAME": REGION,
            "OS_USERNAME": user,
            "OS_PASSWORD": self.passwords[user],
            "OS_PROJECT_NAME": project or USERS[user],
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
        }
