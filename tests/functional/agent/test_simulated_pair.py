# SPDX-License-Identifier: Apache-2.0
"""Two agents' managers with the simulated backend, on real files."""

import pytest
from oslo_config import cfg

from nova_colo.agent.manager import AgentManager
from nova_colo.agent.replication import ReplicationError
from nova_colo.conf import base
from nova_colo.conf import simulated as options
from nova_colo.hoststate.roles import RoleStore
from nova_colo.pair.model import Role
from nova_colo.simulator import backend, hypervisor

SERVER = "1f0f0c3e-0000-4000-8000-000000000001"


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


class Host:
    """A simulated host; an instance of the same name is the host after its agent has been restarted."""

    def __init__(self, name, folder, clock):
        conf = cfg.ConfigOpts()
        base.register(conf)
        options.register(conf)
        conf([], default_config_files=[])
        conf.set_override("host", name)
        conf.set_override("directory", str(folder / "simulated"), group="simulated")
        self.backend = backend.SimulatedBackend(conf, clock, seed=1)
        self.roles = RoleStore(str(folder / name))
        self.agent = AgentManager(name, self.backend, self.roles)
        self.hypervisor = hypervisor.Hypervisor(str(folder / "simulated"), name)

    def replica(self):
        return self.agent.status({}, SERVER)


def spec(**changes):
    values = {
        "server_id": SERVER,
        "name": "web",
        "epoch": 0,
        "primary_host": "a",
        "secondary_host": "b",
        "totals": {"mismatch": 5, "periodic": 2, "forced": 0},
    }
    return values | changes


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def hosts(tmp_path, clock):
    hosts = Host("a", tmp_path, clock), Host("b", tmp_path, clock)
    hosts[0].hypervisor.put(hypervisor.Domain(SERVER, "instance-1", hypervisor.RUNNING))
    return hosts


def replicate(a, b):
    offer = b.agent.prepare_secondary({}, spec(), a.agent.describe({}, spec()))
    a.agent.start_replication({}, spec(), offer)


@pytest.fixture
def pair(hosts, clock):
    a, b = hosts
    replicate(a, b)
    clock.now += 10
    a.replica()
    return hosts


def test_making_a_pair_shows_its_progress(hosts, clock):
    a, b = hosts
    replicate(a, b)
    clock.now += 1
    assert a.replica()["progress"]["percent"] == 50
    clock.now += 1
    assert a.replica()["progress"] is None
    assert (a.replica()["role"], b.replica()["role"]) == (Role.PRIMARY, Role.SECONDARY)
    assert a.replica()["link_up"] and b.replica()["link_up"]


def test_checkpoints_are_counted_on_from_what_the_server_had(pair, clock):
    a, _ = pair
    clock.now += 600
    figures = a.replica()["checkpoints"]
    assert figures["mismatch"] > 5 and figures["periodic"] > 2
    assert figures["total"] == figures["mismatch"] + figures["periodic"] + figures["forced"]
    assert 0 < figures["pause_ms"]["mean"] <= figures["pause_ms"]["p99"] <= figures["pause_ms"]["max"]


def test_figures_and_roles_survive_a_restart_of_the_agent(pair, clock, tmp_path):
    a, _ = pair
    before = a.replica()
    assert Host("a", tmp_path, clock).replica() == before


def test_no_secondary_without_a_guest_on_the_primarys_host(hosts):
    a, b = hosts
    a.hypervisor.remove(SERVER)
    with pytest.raises(ReplicationError, match="is not running"):
        replicate(a, b)
    assert b.replica()["role"] == Role.SECONDARY


def test_a_guest_that_is_in_no_pair_is_never_replaced_by_a_secondary(hosts):
    a, b = hosts
    description = a.agent.describe({}, spec())
    b.hypervisor.put(hypervisor.Domain(SERVER, "instance-1", hypervisor.RUNNING))
    with pytest.raises(ReplicationError, match="outside of any pair"):
        b.agent.prepare_secondary({}, spec(), description)
    assert b.hypervisor.get(SERVER).state == hypervisor.RUNNING
    assert b.roles.all() == []


@pytest.mark.parametrize("server_id", ["../../../etc/x", "", SERVER.upper(), f"{SERVER}/", f"{SERVER}\n"])
def test_what_is_no_servers_id_becomes_part_of_no_path(hosts, tmp_path, server_id):
    a, b = hosts
    before = sorted(tmp_path.rglob("*"))
    wrong = spec(server_id=server_id)
    for request in (
        lambda: a.agent.describe({}, wrong),
        lambda: b.agent.prepare_secondary({}, wrong, {}),
        lambda: a.agent.demote({}, server_id, 1),
        lambda: b.agent.promote({}, server_id, 1),
        lambda: a.agent.release({}, server_id),
        lambda: b.agent.discard({}, server_id),
    ):
        with pytest.raises(ReplicationError, match="is not the id of a server"):
            request()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_planned_failover(pair):
    a, b = pair
    a.agent.demote({}, SERVER, 1)
    b.agent.promote({}, SERVER, 1)
    assert a.hypervisor.get(SERVER).state == hypervisor.PAUSED
    assert b.hypervisor.get(SERVER).state == hypervisor.RUNNING
    assert (a.replica()["role"], b.replica()["role"], b.replica()["epoch"]) == (
        Role.DEMOTED,
        Role.PROMOTED,
        1,
    )


def test_every_request_may_be_repeated(pair):
    a, b = pair
    for _ in range(2):
        a.agent.demote({}, SERVER, 1)
    for _ in range(2):
        b.agent.promote({}, SERVER, 1)
    for _ in range(2):
        b.agent.settle({}, SERVER, 1)
    b.agent.promote({}, SERVER, 1)
    for _ in range(2):
        a.agent.discard({}, SERVER)
    assert a.replica() is None and a.hypervisor.get(SERVER) is None
    assert b.replica()["role"] == Role.PRIMARY and b.hypervisor.get(SERVER).state == hypervisor.RUNNING


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_grant_for_another_epoch_promotes_nothing(pair, epoch):
    _, b = pair
    with pytest.raises(ReplicationError, match="epoch"):
        b.agent.promote({}, SERVER, epoch)
    assert b.hypervisor.get(SERVER).state == hypervisor.PAUSED


def test_what_is_said_too_late_is_refused(pair):
    a, b = pair
    a.agent.demote({}, SERVER, 1)
    a.agent.run_alone({}, SERVER, 2)
    for late in (lambda: a.agent.demote({}, SERVER, 1), lambda: a.agent.prepare_secondary({}, spec(), {})):
        with pytest.raises(ReplicationError):
            late()
    with pytest.raises(ReplicationError):
        b.agent.run_alone({}, SERVER, 2)
    assert a.hypervisor.get(SERVER).state == hypervisor.RUNNING
    assert b.hypervisor.get(SERVER).state == hypervisor.PAUSED


def test_a_power_cut_is_seen_by_the_secondary(pair, tmp_path):
    a, b = pair
    a.hypervisor.remove(SERVER)
    assert b.replica()["link_up"] is False
    assert a.replica()["running"] is False


def test_a_cut_link_is_seen_by_both(pair, tmp_path):
    a, b = pair
    (tmp_path / "simulated" / "b" / "link-down").touch()
    assert a.replica()["link_up"] is False and b.replica()["link_up"] is False


def test_what_has_become_something_else_is_not_discarded(pair):
    _, b = pair
    b.agent.discard({}, SERVER, role=Role.DEMOTED, epoch=0)
    assert b.replica()["role"] == Role.SECONDARY
    b.agent.discard({}, SERVER, role=Role.SECONDARY, epoch=0)
    assert b.replica() is None and b.hypervisor.get(SERVER) is None


def test_releasing_a_primary_keeps_its_guest(pair):
    a, _ = pair
    a.agent.release({}, SERVER)
    assert a.replica() is None and a.hypervisor.get(SERVER).state == hypervisor.RUNNING


def test_what_has_become_something_else_is_not_released(pair):
    """Nova would take a guest that was demoted meanwhile for its own."""
    a, _ = pair
    a.agent.demote({}, SERVER, 1)
    a.agent.release({}, SERVER, role=Role.PRIMARY, epoch=0)
    assert (a.replica()["role"], a.hypervisor.get(SERVER).state) == (Role.DEMOTED, hypervisor.PAUSED)
    a.agent.run_alone({}, SERVER, 2)
    a.agent.release({}, SERVER, role=Role.PRIMARY, epoch=2)
    assert a.replica() is None and a.hypervisor.get(SERVER).state == hypervisor.RUNNING
