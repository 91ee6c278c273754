# SPDX-License-Identifier: Apache-2.0
"""A cloud of real Nova services with fault tolerance, in one process.

Real: nova-api with its paste pipeline and our filter, nova-conductor, nova-scheduler, nova-compute with our
driver on each host, Placement, our agents' managers with the simulated backend, the FT database (SQLite).
Keystone, Neutron, Glance, Cinder and the message broker are Nova's own fixtures. No engine runs: a test puts
a pair in a state with :meth:`ColoCloud.protect` and by requests to agents, or sets columns with
:meth:`ColoCloud.set_pair`. Only what Nova waits for is done automatically: :class:`DetachesPairs`.

To write a test, derive from :class:`ColoTestCase` (hosts h1, h2 and h3 with the fake driver) or from
:class:`tests.functional.nova.libvirt_harness.ColoLibvirtTestCase` (LibvirtDriver on Nova's fakelibvirt), in
this folder. Use ``self.request()`` for raw responses of the API, else ``self.api`` and the helpers of Nova's
InstanceHelperMixin (``_wait_for_...``). ``make functional`` runs all tests on all releases; to run some on
one:

    python3 -m lab venv --nova 34
    .lab/nova-34/bin/python -m pytest tests/functional/nova -k guard

These environments contain no hypothesis, no lab (it needs psutil) and no Horizon; a test must do without.
"""

import contextlib
import dataclasses
import pathlib
import shutil
import sys
import time
import types
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import fixtures
import nova.conf
import webob.dec
from nova.api import wsgi
from nova.tests.functional import integrated_helpers
from oslo_config import cfg
from oslo_utils import timeutils

from lab.core.patience import patient
from nova_colo import conf as colo_conf
from nova_colo.agent.manager import AgentManager
from nova_colo.cmd import api_paste
from nova_colo.conf import base as base_options
from nova_colo.conf import simulated as simulated_options
from nova_colo.db import Database, migration, pairs
from nova_colo.db.models import Pair
from nova_colo.hoststate.roles import RoleStore
from nova_colo.pair.action_rules import OPERATION_HEADER
from nova_colo.pair.host_selection import Size, secondary_resources
from nova_colo.pair.model import Health, Role, State, secondary_id
from nova_colo.simulator.backend import SimulatedBackend
from nova_colo.virt import detach_pair, driver_loader, fake

CONF = nova.conf.CONF
SHIPPED_PASTE = pathlib.Path(sys.prefix) / "etc" / "nova" / "api-paste.ini"
PROJECT = "6f70656e737461636b20342065766572"
OTHER_PROJECT = "0123456789abcdef0123456789abcdef"
ROLES = {
    "admin": "admin,manager,member,reader",
    "manager": "manager,member,reader",
    "member": "member,reader",
    "reader": "reader",
}
_TEMPLATE: dict[str, bytes] = {}
#: Interval and timeout, in seconds, of polling a server until it is as a test wants it.
POLL_INTERVAL_S, POLL_TIMEOUT_S = 0.1, 30


class Host:
    """A compute host: its nova-compute, and its agent's manager without the message broker."""

    def __init__(self, name: str, compute: Any, state_path: pathlib.Path, simulated: pathlib.Path):
        self.name = name
        self.compute = compute
        self.state_path = state_path
        self.roles = RoleStore(str(state_path))
        conf = cfg.ConfigOpts()
        base_options.register(conf)
        simulated_options.register(conf)
        conf([], default_config_files=[])
        conf.set_override("host", name)
        conf.set_override("state_path", str(state_path))
        conf.set_override("directory", str(simulated), group="simulated")
        conf.set_override("mirror_time", 0.0, group="simulated")
        self.agent = AgentManager(name, SimulatedBackend(conf), self.roles)

    @property
    def driver(self) -> Any:
        """Return the driver of its nova-compute."""
        return self.compute.driver


class ColoCloud:
    """Mixin before a test case of Nova's; call prepare_colo() before its setUp() of the services."""

    hosts: dict[str, Host]

    def prepare_colo(self) -> None:
        """Create the FT database and the paste pipeline, and make our drivers loadable by nova-compute."""
        driver_loader.install()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.hosts = {}
        self.simulated = self.folder / "simulated"
        self._make_database()
        self.conf_file = self.folder / "nova-colo.conf"
        self.conf_file.write_text(f"[database]\nconnection = sqlite:///{self.folder}/ft.db\n")
        paste = self.folder / "api-paste.ini"
        shutil.copyfile(SHIPPED_PASTE, paste)
        api_paste.insert_filter(str(paste), str(self.conf_file))
        self.flags(api_paste_config=str(paste), group="wsgi")
        self.flags(simulated_directory=str(self.simulated), group="colo")
        self.flags(
            available_filters=[
                "nova.scheduler.filters.all_filters",
                "nova_colo.scheduler.pair_filter.ColoPairFilter",
            ],
            enabled_filters=[*CONF.filter_scheduler.enabled_filters, "ColoPairFilter"],
            group="filter_scheduler",
        )
        self.clock = types.SimpleNamespace(sleep=lambda seconds: time.sleep(patient(seconds)))
        self.useFixture(fixtures.MockPatchObject(integrated_helpers, "time", self.clock))
        self.detacher = self.useFixture(DetachesPairs(lambda: [host.roles for host in self.hosts.values()]))
        self.database = Database(colo_conf.load([], [str(self.conf_file)], conf=cfg.ConfigOpts()))

    def _make_database(self) -> None:
        path = self.folder / "ft.db"
        if not _TEMPLATE:
            migration.sync(f"sqlite:///{path}")
            _TEMPLATE["ft.db"] = path.read_bytes()
        path.write_bytes(_TEMPLATE["ft.db"])

    def _clear_attrs(self) -> None:
        """Keep the one attribute that pytest has set and removes itself; Nova's test case clears all."""
        method = self.__dict__.get(self._testMethodName)
        super()._clear_attrs()
        if method is not None:
            self.__dict__[self._testMethodName] = method

    def _wait_for_server_parameter(
        self, server: Any, expected_params: Any, max_retries: int = 10, **kwargs: Any
    ) -> Any:
        """Override Nova's helper, which most others call, and which polls ten times, half a second apart."""
        slow, self.clock.sleep = self.clock.sleep, lambda seconds: time.sleep(POLL_INTERVAL_S)
        try:
            return super()._wait_for_server_parameter(
                server, expected_params, round(patient(POLL_TIMEOUT_S) / POLL_INTERVAL_S), **kwargs
            )
        finally:
            self.clock.sleep = slow

    # --- hosts

    def state_path(self, name: str) -> pathlib.Path:
        """Return the state folder of a host, which its agent and its driver share."""
        return self.folder / "hosts" / name

    def power_cut(self, name: str) -> None:
        """Cut a host's power: nova-compute and guests end, the disk stays, Nova has the host down."""
        self.hosts[name].compute.stop()
        shutil.rmtree(self.simulated / name, ignore_errors=True)
        self.force_down(name, True)

    def new_state_path(self, name: str) -> pathlib.Path:
        """Set the driver's option for the state folder; each driver reads it once, at its start."""
        path = self.state_path(name)
        path.mkdir(parents=True, exist_ok=True)
        self.flags(agent_state_path=str(path), group="colo")
        return path

    def force_down(self, name: str, down: bool) -> None:
        """Set or lift forced_down of a host's nova-compute."""
        service = self.admin_api.get_services(binary="nova-compute", host=name)[0]
        self.admin_api.put_service(service["id"], {"forced_down": down})

    # --- API

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user: str = "admin",
        project: str = PROJECT,
        roles: str | None = None,
        version: str | None = "2.67",
        stock: bool = False,
        headers: dict[str, str] | None = None,
    ) -> webob.Response:
        """Send a request to nova-api and return its response.

        :param path: relative to the endpoint, e.g. ``/servers/detail``
        :param body: JSON-able, or bytes that are sent unchanged
        :param user: a name of ROLES; its id is the same
        :param version: compute microversion, or None to send no header
        :param stock: send it to a nova-api without our filter, on the same database
        """
        request = webob.Request.blank(f"/v2.1{path}", method=method)
        request.headers.update(
            {"X-Auth-User": user, "X-Auth-Project-Id": project, "X-Roles": roles or ROLES[user]}
        )
        request.headers["Accept"] = "application/json"
        if version is not None:
            request.headers["OpenStack-API-Version"] = f"compute {version}"
        if isinstance(body, bytes):
            request.body, request.content_type = body, "application/json"
        elif body is not None or method == "POST":
            request.json_body = body
            request.content_type = "application/json"
        request.headers.update(headers or {})
        return request.get_response(self.stock_app if stock else self.api_fixture.app())

    def act(self, server_id: str, body: dict[str, Any], **kwargs: Any) -> webob.Response:
        """POST an action on a server."""
        return self.request("POST", f"/servers/{server_id}/action", body, **kwargs)

    def move(self, server: dict[str, Any], body: dict[str, Any]) -> webob.Response:
        """POST an action like the engine does: with the header of the pair's current operation."""
        operation_id = str(uuid.uuid4())
        self.set_pair(server, operation_id=operation_id)
        return self.act(server["id"], body, headers={OPERATION_HEADER: operation_id})

    @property
    def stock_app(self) -> Any:
        """Return nova-api's application with the unmodified pipeline."""
        if not hasattr(self, "_stock_app"):
            self._stock_app = wsgi.Loader(str(SHIPPED_PASTE)).load_app("osapi_compute")
        return self._stock_app

    @contextlib.contextmanager
    def speaking(self, version: str) -> Iterator[None]:
        """Use another microversion in self.api within the context."""
        before, self.api.microversion = self.api.microversion, version
        try:
            yield
        finally:
            self.api.microversion = before

    # --- servers and pairs

    def ft_flavor(self, vcpu: int = 1, memory_mb: int = 512, disk: int = 1, **extra_specs: str) -> str:
        """Create a flavor with ft:enabled and return its id.

        :param extra_specs: further extra specs, with ``__`` for each colon in a name
        """
        specs = {"ft:enabled": "true"} | {
            name.replace("__", ":"): value for name, value in extra_specs.items()
        }
        return self._create_flavor(vcpu=vcpu, memory_mb=memory_mb, disk=disk, ephemeral=0, extra_spec=specs)

    def ft_server(self, host: str | None = "h1", flavor: str | None = None, **kwargs: Any) -> dict[str, Any]:
        """Create an FT server, wait until it is ACTIVE and return it.

        :param host: the host to force, or None
        """
        kwargs.setdefault("networks", "none")
        return self._create_server(flavor_id=flavor or self.ft_flavor(), host=host, **kwargs)

    def plain_server(self, **kwargs: Any) -> dict[str, Any]:
        """Create a server that is not fault tolerant, wait until it is ACTIVE and return it."""
        return self._create_server(flavor_id=self._create_flavor(), networks="none", **kwargs)

    def protect(self, server: dict[str, Any], secondary: str, **values: Any) -> Pair:
        """Protect a server: start its secondary, reserve its capacity, add its pair to the FT database.

        :param values: columns of the pair that differ from those of a healthy pair
        :returns: the pair's row
        """
        server = self.admin_api.get_server(server["id"])
        primary = server["OS-EXT-SRV-ATTR:host"]
        spec = {
            "server_id": server["id"],
            "name": server["name"],
            "epoch": values.get("epoch", 0),
            "primary_host": primary,
            "secondary_host": secondary,
            "totals": {"mismatch": 0, "periodic": 0, "forced": 0},
        }
        self.replicate(spec)
        self.reserve(server, secondary)
        return self.add_pair(server, **{"secondary_host": secondary, "state": State.PROTECTED} | values)

    def replicate(self, spec: dict[str, Any]) -> None:
        """Send the agents of both hosts the requests of an engine that protects a server."""
        primary, secondary = (self.hosts[spec[name]].agent for name in ("primary_host", "secondary_host"))
        offer = secondary.prepare_secondary({}, spec, primary.describe({}, spec))
        primary.start_replication({}, spec, offer)

    def add_pair(self, server: dict[str, Any], **values: Any) -> Pair:
        """Add a pair's row, by default that of a server without a secondary."""
        flavor, now = server["flavor"], timeutils.utcnow()
        host = server["OS-EXT-SRV-ATTR:host"]
        row = {
            "server_id": server["id"],
            "secondary_id": secondary_id(server["id"]),
            "name": server["name"],
            "project_id": server["tenant_id"],
            "user_id": server["user_id"],
            "flavor": flavor["original_name"],
            "vcpus": flavor["vcpus"],
            "memory_mb": flavor["ram"],
            "disk_gb": flavor["disk"],
            "server_status": server["status"],
            "nova_host": host,
            "state": State.UNPROTECTED,
            "health": Health.OK,
            "primary_host": host,
            "primary_since": now,
            "backend": "simulated",
        }
        if values.get("secondary_host"):
            row |= {"secondary_since": now, "protected_since": now}
        with self.database.writer() as session:
            pairs.add(session, **row | values)
        return self.pair(server)

    def pair(self, server: dict[str, Any]) -> Pair | None:
        """Return a server's pair from the FT database."""
        with self.database.reader() as session:
            return pairs.get(session, server["id"])

    def set_pair(self, server: dict[str, Any], **values: Any) -> None:
        """Set columns of a server's pair."""
        with self.database.writer() as session:
            assert pairs.update(session, server["id"], **values)

    def reserve(self, server: dict[str, Any], host: str) -> None:
        """Reserve the capacity of a secondary in Placement."""
        flavor = server["flavor"]
        size = Size(flavor["vcpus"], flavor["ram"], flavor["disk"])
        provider = self._get_provider_uuid_by_host(host)
        body = {
            "allocations": {provider: {"resources": secondary_resources(size)}},
            "project_id": "service",
            "user_id": "nova-colo",
            "consumer_generation": None,
            "consumer_type": "COLO_SECONDARY",
        }
        answer = self.placement.put(f"/allocations/{secondary_id(server['id'])}", body, version="1.38")
        assert answer.status == 204, answer.body

    def release(self, server: dict[str, Any]) -> None:
        """Delete the reservation of a secondary."""
        answer = self.placement.delete(f"/allocations/{secondary_id(server['id'])}")
        assert answer.status == 204, answer.body

    def reservation(self, server: dict[str, Any]) -> dict[str, Any]:
        """Return a secondary's reservation in Placement: amounts by resource provider."""
        return self.placement.get(f"/allocations/{secondary_id(server['id'])}", version="1.38").body[
            "allocations"
        ]

    def nova_record(self, server: dict[str, Any]) -> tuple[str, str | None, str | None]:
        """Return a server's status, task and host as Nova shows them."""
        server = self.admin_api.get_server(server["id"])
        return server["status"], server["OS-EXT-STS:task_state"], server["OS-EXT-SRV-ATTR:host"]


class DetachesPairs(fixtures.Fixture):
    """Do what an engine would when a primary is leaving its pair, since no engine runs.

    ``polls`` counts how often the driver has waited for it; clear ``enabled`` for an absent engine.

    :param roles: returns the role stores of all hosts
    """

    def __init__(self, roles: Callable[[], list[RoleStore]]):
        super().__init__()
        self._roles = roles
        self.polls = 0
        self.enabled = True

    def _setUp(self) -> None:  # noqa: N802
        self.useFixture(fixtures.MockPatchObject(detach_pair, "sleep", self._wait))

    def _wait(self, seconds: float) -> None:
        self.polls += 1
        for roles in self._roles() if self.enabled else ():
            for record in roles.all():
                if record.role == Role.LEAVING:
                    roles.put(dataclasses.replace(record, peer=None))
        time.sleep(seconds)


class NodePerHost(fixtures.Fixture):
    """Give each host its own compute node: Nova keeps its id in a global, and all hosts share a process."""

    def _setUp(self) -> None:  # noqa: N802
        stock = fake.ColoFakeDriver.get_available_resource

        def get_nodenames_by_uuid(driver: Any, refresh: bool = False) -> dict[str, str]:
            return {node_id(driver._host): driver._host}

        def get_available_resource(driver: Any, nodename: str) -> dict[str, Any]:
            return stock(driver, nodename) | {"uuid": node_id(nodename)}

        for replacement in (get_nodenames_by_uuid, get_available_resource):
            self.useFixture(fixtures.MockPatchObject(fake.ColoFakeDriver, replacement.__name__, replacement))


def node_id(host: str) -> str:
    """Return the id of a host's compute node, which is also that of its resource provider."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, host))


class ColoTestCase(ColoCloud, integrated_helpers.ProviderUsageBaseTestCase):
    """Hosts with the fake driver, whose guests are those of the simulated hypervisor."""

    compute_driver = "colo.ColoFakeDriver"
    host_names = ("h1", "h2", "h3")

    def setUp(self) -> None:
        """Start the services."""
        self.prepare_colo()
        self.useFixture(NodePerHost())
        super().setUp()
        for name in self.host_names:
            self.start_host(name)

    def start_host(self, name: str) -> Host:
        """Start a host's nova-compute; a second call is a restart of it."""
        path = self.new_state_path(name)
        if name in self.hosts:
            self.hosts[name].compute = self.restart_compute_service(self.hosts[name].compute)
        else:
            self.hosts[name] = Host(name, self._start_compute(name), path, self.simulated)
        return self.hosts[name]
