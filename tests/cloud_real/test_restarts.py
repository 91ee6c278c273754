# SPDX-License-Identifier: Apache-2.0
"""Each service is restarted, alone, while no operation runs and during workflows; the client does not notice.

``make test-all`` restarts each service in each workflow, which takes a quarter of an hour; ``make test`` one
of them in each.
"""

from collections.abc import Callable

import pytest

from lab import Lab
from tests.cloud_real.nova_server import PATIENCE
from tests.cloud_real.server import FtServer
from tests.fixtures.cloud import Cloud, wait_for


def failover(server: FtServer) -> None:
    server.act("failover")


def failover_and_back(server: FtServer) -> None:
    server.act("ft-test-failover", {"return": True})


#: Events by which users learn that a failover and its return were cancelled.
CALLED_OFF = ("The failover failed", "does not return", "Secondary lost", "could not be protected")


def loss(server: FtServer) -> None:
    server.kill_qemu(server.pair()["primary"]["host"])


def move_of_the_secondary(server: FtServer) -> None:
    server.act("ft-migrate-secondary", {"host": None})


def protection(server: FtServer) -> None:
    server.act("ft-unprotect")
    server.in_state("unprotected")
    server.act("ft-protect")


def suspension(server: FtServer) -> None:
    server.act("ft-suspend")


#: Each workflow, and which host's service is restarted during it.
WORKFLOWS = {
    failover: "secondary",
    failover_and_back: "secondary",
    loss: "secondary",
    move_of_the_secondary: "primary",
    protection: "primary",
    suspension: "primary",
}
SERVICES = ("engine", "rabbitmq", "mariadb", "nova-compute", "agent", "libvirtd")
SAMPLE = dict(
    zip(WORKFLOWS, ("mariadb", "engine", "rabbitmq", "libvirtd", "agent", "nova-compute"), strict=True)
)
ALL = [
    pytest.param(workflow, service, marks=() if SAMPLE[workflow] == service else pytest.mark.long)
    for workflow in WORKFLOWS
    for service in SERVICES
]

#: Services whose restart may cancel a planned failover: the target's agent or its QEMU cannot be asked then.
MAY_CANCEL = ("agent", "rabbitmq", "libvirtd")


class Restart:
    """Restart a service, of a host if each host has one, and wait until the API answers."""

    def __init__(self, lab: Lab, cloud: Cloud):
        self._lab = lab
        self._cloud = cloud

    def __call__(self, service: str, *hosts: str) -> None:
        if service == "libvirtd":
            for host in hosts:
                self._lab.host(host).restart_libvirtd()
        elif service in ("nova-compute", "agent"):
            for host in hosts:
                self._lab.service(f"{host}-{service}").restart()
        else:
            self._lab.service(service).restart()
        answers = lambda: self._cloud.request("GET", "/os-fault-tolerance/servers").status_code == 200  # noqa: E731
        wait_for("the API answers", PATIENCE, answers)


@pytest.fixture
def restart(lab: Lab, cloud: Cloud) -> Restart:
    return Restart(lab, cloud)


@pytest.mark.parametrize("service", SERVICES)
def test_while_all_is_well(server: FtServer, restart: Restart, service: str) -> None:
    before = server.pair()
    restart(service, before["primary"]["host"], before["secondary"]["host"])
    server.is_whole()
    after = server.pair()
    assert [after[name] for name in ("epoch", "primary", "secondary")] == [
        before[name] for name in ("epoch", "primary", "secondary")
    ]
    if service == "libvirtd":  # after that it describes its guests otherwise
        server.act("ft-suspend")
        server.in_state("suspended")
        server.act("ft-resume")
        server.is_whole()


@pytest.mark.parametrize(("workflow", "service"), ALL)
def test_in_the_middle_of_a_workflow(
    server: FtServer, cloud: Cloud, restart: Restart, workflow: Callable[[FtServer], None], service: str
) -> None:
    before = server.pair()
    events = cloud.events(server.id)
    workflow(server)
    restart(service, before[WORKFLOWS[workflow]]["host"])

    def has_ended() -> bool:
        """Ignore the event of the request itself."""
        new = cloud.events(server.id)[: -len(events)]
        if workflow is failover_and_back:
            cancelled = any(words in event for event in new for words in CALLED_OFF)
            return cancelled or server.pair_now()["epoch"] >= before["epoch"] + 2
        return any("requested" not in event for event in new)

    # it may be cancelled, e.g. when the target's agent does not answer: there is an event, and the server
    # stays
    wait_for("it has ended", PATIENCE, has_ended)
    if workflow is suspension:
        server.in_state("suspended")
        server.act("ft-resume")
    server.is_whole()
    if workflow is loss or (workflow is failover and service not in MAY_CANCEL):
        assert server.pair()["primary"]["host"] == before["secondary"]["host"]
