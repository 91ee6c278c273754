# SPDX-License-Identifier: Apache-2.0
"""The end of a QEMU is reported for that process alone, not for one that Nova started later."""

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
    """A replica of a pair; :ivar meanwhile: called while the agent polls it."""

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
def notified():
    return threading.Event()


@pytest.fixture
def backend(tmp_path, notified):
    backend = object.__new__(QemuBackend)
    backend._lock, backend._replicas, backend._hypervisor = threading.Lock(), {}, FakeHypervisor()
    backend._ports = backend._records = types.SimpleNamespace(
        release=lambda ports: None, delete=lambda server_id: None
    )
    backend._folder = lambda server_id: tmp_path / server_id
    backend._processes = ProcessWatch(lambda server_id: notified.set())
    return backend


def add_replica(backend, qemu):
    replica = backend._replicas[SERVER] = FakeReplica(lambda command: [{"thread-id": qemu.pid}])
    return replica


def end(qemu):
    qemu.kill()
    qemu.wait()


def test_a_qemu_is_seen_to_end(backend, qemu, notified):
    backend._poll(add_replica(backend, qemu))
    end(qemu)
    assert notified.wait(PATIENCE) and backend._processes.has_ended(SERVER)


def test_one_that_was_looked_at_while_its_replica_was_dropped_is_not_watched(backend, qemu, notified):
    replica = add_replica(backend, qemu)
    replica.meanwhile = lambda: backend._remove(SERVER)
    backend._poll(replica)
    end(qemu)
    assert not notified.wait(1) and not backend._processes.has_ended(SERVER)


def test_what_nova_has_started_since_is_not_ended(backend, qemu, notified, tmp_path):
    backend._poll(add_replica(backend, qemu))
    end(qemu)
    assert notified.wait(PATIENCE)
    agent = manager.AgentManager("a", backend, RoleStore(tmp_path))
    domain = backend._hypervisor.domains[SERVER] = FakeDomain()
    agent._delete_ended(set())
    assert not domain.ended and SERVER in backend._replicas


def test_what_nova_starts_while_the_last_replica_is_forgotten_is_not_ended(backend, qemu, tmp_path):
    add_replica(backend, qemu)
    agent = manager.AgentManager("a", backend, RoleStore(tmp_path))
    domain = FakeDomain()
    ended = backend.ended

    def start(roles):
        servers = ended(roles)
        backend._hypervisor.domains[SERVER] = domain
        return servers

    backend.ended = start
    agent._delete_ended(set())
    assert not domain.ended and SERVER not in backend._replicas
