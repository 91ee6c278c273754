# SPDX-License-Identifier: Apache-2.0
"""Bring a lab up: the steps, their dependencies, and their checks. All steps are idempotent."""

from functools import cached_property
from pathlib import Path

import kombu
import requests
from openstack.connection import Connection

from lab.cloud import dashboard
from lab.cloud.config.files import write_all
from lab.cloud.schema import Schemas, connect_as_root, install_data_folder
from lab.cloud.seed import connect
from lab.cloud.seed.identity import seed_identity
from lab.cloud.seed.resources import seed_flavors, seed_image, seed_network
from lab.cloud.seed.servers import (
    hosts_not_ready,
    remove_unfinished,
    seed_servers,
    servers_not_active,
    servers_not_protected,
)
from lab.cloud.services import program
from lab.cloud.spec import CATALOG, Spec
from lab.core.layout import write_private
from lab.core.patience import patient
from lab.core.plan import Action, Clock, Plan
from lab.core.process import Supervisor
from lab.core.service import Service
from lab.core.waiting import wait_for
from lab.guest import boot_disk
from lab.guest.image import GuestImage
from lab.hosts import ComputeHost
from lab.hosts.real import CloudTestbed


class BringUp:
    """Bring a lab up, from nothing or from what exists of it."""

    def __init__(
        self,
        spec: Spec,
        supervisor: Supervisor,
        services: dict[str, Service],
        hosts: list[ComputeHost],
        clock: Clock,
        testbed: CloudTestbed | None = None,
    ) -> None:
        self._spec = spec
        self._supervisor = supervisor
        self._services = services
        self._hosts = hosts
        self._clock = clock
        self._testbed = testbed

    @cached_property
    def _admin(self) -> Connection:
        return connect(self._spec)

    @cached_property
    def _demo(self) -> Connection:
        """The administrator in the project demo."""
        return connect(self._spec, "admin", "demo")

    def run(self) -> None:
        """Run all steps, independent ones concurrently. Raise the first failure."""
        plan = Plan(self._clock)
        self._add_foundation(plan)
        self._add_apis(plan)
        self._add_compute(plan)
        if self._spec.state.dashboard:
            self._add_dashboard(plan)
        if self._spec.state.demo:
            self._add_demo(plan)
        plan.run()

    def _add_foundation(self, plan: Plan) -> None:
        schemas = Schemas(self._spec, self._supervisor)
        if self._testbed is None:
            plan.add("configuration written", self._configure)
        else:
            plan.add("hosts' networks", self._testbed.power_on)
            plan.add("configuration written", self._configure, ["hosts' networks"])
        plan.add("MariaDB answers", self._start_mariadb, ["configuration written"])
        plan.add("RabbitMQ answers", self._start_rabbitmq, ["configuration written"])
        # Nova's tables take longest, and all services wait for the catalog. Other tables are created later.
        plan.add("nova tables", schemas.nova, ["MariaDB answers"])
        plan.add("keystone tables", schemas.keystone, ["MariaDB answers"])
        plan.add("keystone answers", lambda: self._start_api("keystone"), ["keystone tables"])
        plan.add("users and catalog", self._seed_identity, ["keystone answers"])
        plan.add("placement tables", schemas.placement, ["keystone answers"])
        plan.add("neutron tables", schemas.neutron, ["users and catalog"])
        plan.add("glance tables", schemas.glance, ["placement tables"])
        if self._spec.state.colo:
            plan.add("fault tolerance tables", schemas.colo, ["placement tables"])

    def _add_apis(self, plan: Plan) -> None:
        for name in ("placement", "glance", "neutron"):
            plan.add(f"{name} answers", lambda name=name: self._start_api(name), [f"{name} tables"])  # type: ignore[misc]
        image = self._once("image", lambda: seed_image(self._admin, self._boot_disk()))
        plan.add("image", image, ["users and catalog", "glance answers"])
        network = self._once("network", lambda: seed_network(self._demo, self._spec.is_real))
        plan.add("network", network, ["users and catalog", "neutron answers"])

    def _add_compute(self, plan: Plan) -> None:
        # Nova's services cache the first catalog that they get, and exit if Placement does not answer
        # when they start.
        needs = ["nova tables", "users and catalog", "RabbitMQ answers", "placement answers"]
        if self._spec.state.colo:
            plan.add("engine started", lambda: self._start("engine"), ["fault tolerance tables", *needs])
        plan.add("nova-conductor and nova-scheduler started", self._start_nova, needs)
        filter_needs = ["nova tables", *(["fault tolerance tables"] if self._spec.state.colo else [])]
        plan.add("nova-api configured", self._insert_filter, filter_needs)
        plan.add("nova-api answers", lambda: self._start_api("nova-api"), ["nova-api configured", *needs])
        hosts_need = ["nova-conductor and nova-scheduler started"]
        plan.add("compute hosts started", self._start_hosts, hosts_need)
        flavors = self._once("flavors", lambda: seed_flavors(self._admin, self._spec.is_real))
        plan.add("flavors", flavors, ["nova-api answers", "users and catalog"])
        plan.add("compute hosts up", self._wait_for_hosts, ["compute hosts started", "flavors"])

    def _add_dashboard(self, plan: Plan) -> None:
        plan.add("dashboard's static files", self._make_static_files, ["configuration written"])
        plan.add("dashboard answers", lambda: self._start_api("horizon"), ["dashboard's static files"])

    def _add_demo(self, plan: Plan) -> None:
        if self._stamp("servers").exists():
            return  # later changes of the servers are the user's
        plan.add("servers requested", self._seed_servers, ["compute hosts up", "image", "network"])
        plan.add("servers active", self._wait_for_servers, ["servers requested"])
        if self._spec.state.colo:
            needs = ["servers active", "engine started"]
            plan.add("FT servers protected", self._wait_for_protection, needs)
            plan.add("demo complete", self._stamp("servers").touch, ["FT servers protected"])
        else:
            plan.add("demo complete", self._stamp("servers").touch, ["servers active"])

    def _boot_disk(self) -> Path | None:
        """Return the boot disk of guests, or None if guests are simulated."""
        return boot_disk.ensure(GuestImage.ensure()) if self._spec.is_real else None

    def _stamp(self, name: str) -> Path:
        return self._spec.layout.done / name

    def _once(self, name: str, action: Action) -> Action:
        """Return an action that runs once per lab, since what exists in the cloud later is the user's."""

        def run() -> None:
            if not self._stamp(name).exists():
                action()
                self._stamp(name).touch()

        return run

    def _configure(self) -> None:
        write_all(self._spec)
        if self._spec.state.dashboard:
            dashboard.write_settings(self._spec)
        for host in self._hosts:
            host.prepare()

    def _start(self, name: str) -> None:
        self._supervisor.start(self._services[name])

    def _start_mariadb(self) -> None:
        install_data_folder(self._spec, self._supervisor)
        self._start("mariadb")

        def probe() -> None:
            connect_as_root(self._spec).close()

        wait_for("MariaDB to answer", probe, self._supervisor, ["mariadb"], 60)

    def _start_rabbitmq(self) -> None:
        self._start("epmd")
        self._start("rabbitmq")

        def probe() -> None:
            url = self._spec.transport_url().replace("rabbit://", "amqp://")
            with kombu.Connection(url, connect_timeout=patient(5)) as connection:
                connection.connect()

        wait_for("RabbitMQ to answer", probe, self._supervisor, ["epmd", "rabbitmq"], 90)

    def _start_api(self, name: str) -> None:
        service = self._services[name]
        self._supervisor.start(service)
        wait_for(f"{name} to answer", lambda: probe_http(service), self._supervisor, [name])

    def _make_static_files(self) -> None:
        dashboard.make_static_files(self._spec, self._supervisor)

    def _seed_identity(self) -> None:
        addresses = " ".join(self._spec.endpoint(kind) for kind in ("identity", *CATALOG))
        stamp = self._stamp("identity")
        if not stamp.exists() or stamp.read_text() != addresses:
            # A connection caches the catalog of its token, so this one is used for nothing else.
            seed_identity(connect(self._spec), self._spec)
            write_private(stamp, addresses)

    def _insert_filter(self) -> None:
        if self._spec.state.colo:
            etc = self._spec.layout.etc
            arguments = ("api-paste", str(etc / "nova" / "api-paste.ini"))
            filter_config = ("--filter-config", str(etc / "nova-colo" / "nova-colo.conf"))
            self._supervisor.run(
                "setup-nova-colo-manage", (program("nova-colo-manage"), *arguments, *filter_config)
            )

    def _start_nova(self) -> None:
        self._start("nova-conductor")
        self._start("nova-scheduler")

    def _start_hosts(self) -> None:
        for host in self._hosts:
            host.start()

    def _wait_for_hosts(self) -> None:
        names = [service.name for host in self._hosts for service in host.services()]
        wait_for(
            "every compute host to be up",
            lambda: hosts_not_ready(self._admin, self._spec.state.hosts),
            self._supervisor,
            ["nova-conductor", "nova-scheduler", *names],
            seconds=300,
        )

    def _seed_servers(self) -> None:
        remove_unfinished(self._demo)
        seed_servers(self._demo, self._spec.state.hosts)

    def _wait_for_servers(self) -> None:
        names = ["nova-conductor", "nova-scheduler"]
        wait_for("the servers to be ACTIVE", lambda: servers_not_active(self._demo), self._supervisor, names)

    def _wait_for_protection(self) -> None:
        agents = [s.name for host in self._hosts for s in host.services()]
        what = "the FT servers to be protected"
        wait_for(what, lambda: servers_not_protected(self._admin), self._supervisor, ["engine", *agents])


def probe_http(service: Service) -> str | None:
    """Return an error if an API answers with a server error, else None. Raise if it does not answer."""
    if service.url is None:
        return None
    answer = requests.get(service.url, timeout=patient(20), allow_redirects=False)
    return f"HTTP {answer.status_code} from {service.url}" if answer.status_code >= 500 else None
