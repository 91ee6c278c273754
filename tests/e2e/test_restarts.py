# SPDX-License-Identifier: Apache-2.0
"""Each service is restarted, one at a time, while a server fails over and is protected again: the user does not notice."""

from collections.abc import Callable

import pytest

from lab import Lab
from tests.cloud import Cloud, wait_for
from tests.e2e.server import PATIENCE, FtServer

#: What is restarted: on the host of the guest where it is one of a host's.
SERVICES = ("engine", "rabbitmq", "mariadb", "nova-compute", "agent", "libvirtd")


@pytest.fixture
def restart(lab: Lab, cloud: Cloud) -> Callable[[str, str], None]:
    """Restart a service, on a host where it is one of a host's."""

    def restart_on(service: str, host: str) -> None:
        if service == "libvirtd":
            lab.host(host).restart_libvirtd()
        elif service in ("nova-compute", "agent"):
            lab.service(f"{host}-{service}").restart()
        else:
            lab.service(service).restart()
        wait_for("the API answers", PATIENCE, lambda: cloud.request("GET", "/os-fault-tolerance/servers").status_code == 200)

    return restart_on


@pytest.mark.parametrize("service", SERVICES)
def test_while_it_fails_over_and_is_protected_again(server: FtServer, restart: Callable[[str, str], None], service: str) -> None:
    before = server.pair()
    server.act("failover")
    restart(service, before["secondary"]["host"])
    after = server.failed_over(before)
    # without the agent that is to promote the secondary a failover is called off, and the server stays where it is
    called_off = service == "agent" and after["primary"]["host"] == before["primary"]["host"]
    assert called_off or after["primary"]["host"] == before["secondary"]["host"]
    server.is_whole()
