# SPDX-License-Identifier: Apache-2.0
"""The end of a QEMU is reported for that process alone, not for one that Nova started later."""

import functools
import socket
import subprocess
import sys
import threading
import types

import pytest

from nova_colo.agent import manager
from nova_colo.agent.qemu import privileged
from nova_colo.agent.qemu.backend import QemuBackend
from nova_colo.agent.qemu.poller import Poller
from nova_colo.agent.qemu.process_watch import ProcessWatch
from nova_colo.agent.qemu.replica_set import ReplicaSet
from nova_colo.hoststate.roles import RoleStore

SERVER = "1f0f0c3e-0000-4000-8000-000000000001"
PATIENCE = 10


class FakeReplica:
    """A replica of a pair; :ivar meanwhile: called while the agent polls it."""

    def __init__(self, guest):
        self.record = types.SimpleNamespace(server_id=SERVER, ports=[], disks=[], created_files=[], vifs=None)
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
def replicas(tmp_path, notified):
    replicas = object.__new__(ReplicaSet)
    replicas._lock, replicas._replicas, replicas.hypervisor = threading.Lock(), {}, FakeHypervisor()
    replicas.ports = replicas._records = types.SimpleNamespace(
        release=lambda ports: None, delete=lambda server_id: None
    )
    replicas.commits = types.SimpleNamespace(pending=lambda server_id: False)
    replicas.commits.drop = replicas.commits.drop_deleted = lambda server_id: None
    replicas.folder = lambda server_id: tmp_path / server_id
    replicas.processes = ProcessWatch(lambda server_id: notified.set())
    return replicas


@pytest.fixture
def poller(replicas):
    return Poller(replicas)


@pytest.fixture
def agent(replicas, tmp_path):
    backend = object.__new__(QemuBackend)
    backend._replicas = replicas
    return manager.AgentManager("a", backend, RoleStore(tmp_path))


def add_replica(replicas, qemu):
    replica = replicas._replicas[SERVER] = FakeReplica(lambda command: [{"thread-id": qemu.pid}])
    return replica


def end(qemu):
    qemu.kill()
    qemu.wait()


def test_a_qemu_is_seen_to_end(replicas, poller, qemu, notified):
    poller.poll(add_replica(replicas, qemu))
    end(qemu)
    assert notified.wait(PATIENCE) and replicas.processes.has_ended(SERVER)


def test_one_that_was_looked_at_while_its_replica_was_dropped_is_not_watched(
    replicas, poller, qemu, notified
):
    replica = add_replica(replicas, qemu)
    replica.meanwhile = lambda: replicas.remove(SERVER)
    poller.poll(replica)
    end(qemu)
    assert not notified.wait(1) and not replicas.processes.has_ended(SERVER)


def test_what_nova_has_started_since_is_not_ended(replicas, poller, agent, qemu, notified):
    poller.poll(add_replica(replicas, qemu))
    end(qemu)
    assert notified.wait(PATIENCE)
    domain = replicas.hypervisor.domains[SERVER] = FakeDomain()
    agent.delete_ended()
    assert not domain.ended and replicas.get(SERVER) is not None


def test_what_nova_starts_while_the_last_replica_is_forgotten_is_not_ended(replicas, agent, qemu):
    add_replica(replicas, qemu)
    domain = FakeDomain()
    ended = replicas.ended

    def start(roles):
        servers = ended(roles)
        replicas.hypervisor.domains[SERVER] = domain
        return servers

    replicas.ended = start
    agent.delete_ended()
    assert not domain.ended and replicas.get(SERVER) is None


def test_connections_of_a_qemu_can_be_shut_down_from_outside(replicas, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        program = f"import socket; socket.create_connection({(host, port)!r}).recv(1)"
        with subprocess.Popen([sys.executable, "-c", program]) as qemu, server.accept()[0] as accepted:
            shut_down = functools.partial(replicas.processes.shut_down_connections, SERVER)
            shut_down(host, [], [port])  # it is not watched
            replicas.processes.watch(SERVER, lambda command: [{"thread-id": qemu.pid}])
            with pytest.raises(PermissionError, match="is not the QEMU of"):
                shut_down(host, [], [port])
            monkeypatch.setattr(privileged, "_check_qemu", lambda process, server_id: None)
            shut_down(host, [], [port + 1])
            shut_down("127.0.0.2", [], [port])
            assert qemu.poll() is None
            shut_down(host, [], [port])
            assert qemu.wait(PATIENCE) == 0
            assert accepted.recv(1) == b""
