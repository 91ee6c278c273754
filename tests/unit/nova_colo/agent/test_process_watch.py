# SPDX-License-Identifier: Apache-2.0
"""The end of a QEMU is told of that one alone: not of the next one, which Nova may have started for the server since."""

import subprocess
import threading
import types

import pytest

from nova_colo.agent import manager
from nova_colo.agent.qemu.backend import QemuBackend
from nova_colo.agent.qemu.process_watch import ProcessWatch
from nova_colo.hoststate.roles import RoleStore

SERVER = "1f0f0c3e-0000-4000-8000-000000000001"
PATIENCE = 10


class FakeReplica:
    """A replica of a pair; :ivar meanwhile: done while the agent looks at it."""

    def __init__(self, guest):
        self.record = types.SimpleNamespace(server_id=SERVER, ports=[], disks=[], made=[], wiring=None)
        self.guest = guest
        self.cancelled = threading.Event()
        self.meanwhile = lambda: None

    def poll(self):
        self.meanwhile()

    def close(self):
        pass

    def retrigger_fence(self):
        pass

    def on_ended(self):
        pass


class FakeHypervisor:
    """libvirt with at most one domain."""

    def __init__(self):
        self.domains = {}

    def domain(self, server_id):
        return self.domains.get(server_id)

    def close_monitor(self, server_id):
        pass


class FakeDomain:
    ended = False

    def destroy(self):
        self.ended = True


@pytest.fixture
def qemu():
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


@pytest.fixture
def told():
    return threading.Event()


@pytest.fixture
def backend(tmp_path, told):
    made = object.__new__(QemuBackend)
    made._lock, made._replicas, made._hypervisor = threading.Lock(), {}, FakeHypervisor()
    made._ports = made._records = types.SimpleNamespace(
        give_back=lambda ports: None, delete=lambda server_id: None
    )
    made._folder = lambda server_id: tmp_path / server_id
    made._processes = ProcessWatch(lambda server_id: told.set())
    return made


def add_replica(backend, qemu):
    replica = backend._replicas[SERVER] = FakeReplica(lambda command: [{"thread-id": qemu.pid}])
    return replica


def end(qemu):
    qemu.kill()
    qemu.wait()


def test_a_qemu_is_seen_to_end(backend, qemu, told):
    backend._poll(add_replica(backend, qemu))
    end(qemu)
    assert told.wait(PATIENCE) and backend._processes.has_ended(SERVER)


def test_one_that_was_looked_at_while_its_replica_was_dropped_is_not_watched(backend, qemu, told):
    replica = add_replica(backend, qemu)
    replica.meanwhile = lambda: backend._remove(SERVER)
    backend._poll(replica)
    end(qemu)
    assert not told.wait(1) and not backend._processes.has_ended(SERVER)


def test_what_nova_has_started_since_is_not_ended(backend, qemu, told, tmp_path):
    backend._poll(add_replica(backend, qemu))
    end(qemu)
    assert told.wait(PATIENCE)
    agent = manager.AgentManager("a", backend, RoleStore(tmp_path))
    domain = backend._hypervisor.domains[SERVER] = FakeDomain()
    agent._forget_ended(set())
    assert not domain.ended and SERVER in backend._replicas


def test_what_nova_starts_while_the_last_replica_is_forgotten_is_not_ended(backend, qemu, tmp_path):
    add_replica(backend, qemu)
    agent = manager.AgentManager("a", backend, RoleStore(tmp_path))
    domain = FakeDomain()
    known = backend.without_role

    def start(roles):
        found = known(roles)
        backend._hypervisor.domains[SERVER] = domain
        return found

    backend.without_role = start
    agent._forget_ended(set())
    assert not domain.ended and SERVER not in backend._replicas
