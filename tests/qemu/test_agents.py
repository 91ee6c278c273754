# SPDX-License-Identifier: Apache-2.0
"""The hosts run real agents on a real broker, and a test can be the engine that they report to."""

import contextlib
import json
import pathlib
import socket
import socketserver
import threading
import uuid
from collections.abc import Callable

import oslo_messaging as messaging
import psutil
import pytest

from lab.machines import Host, Testbed, users
from nova_colo.hoststate.roles import RoleRecord, RoleStore
from nova_colo.pair.model import Role
from tests.fixtures.cloud import wait_for
from tests.qemu.conftest import PREFIX

#: The id of a server that does not exist.
NOBODY = "1f0f0c3e-0000-4000-8000-000000000000"
#: Missed heartbeats after which an engine considers a host silent.
SILENT_S = 2.0
#: Much shorter than the silence of an agent that waits for a frozen libvirtd.
BLOCKED_S = 9.0


@pytest.fixture
def hosts(testbed: Testbed) -> tuple[Host, Host]:
    """Return two hosts whose agents run and have sent a heartbeat."""
    one, other = testbed.hosts["a"], testbed.hosts["b"]
    for host in (one, other):
        host.start_agent()
        testbed.agents.wait_for_heartbeat(host.hostname)
    return one, other


def test_every_agent_is_heard(testbed: Testbed, hosts: tuple[Host, Host]) -> None:
    for host in hosts:
        heartbeat = testbed.agents.wait_for_heartbeat(host.hostname)
        assert (heartbeat.report["backend"], heartbeat.report["servers"]) == ("qemu", {})


def test_every_agent_answers(testbed: Testbed, hosts: tuple[Host, Host]) -> None:
    for host in hosts:
        assert testbed.agents.call(host.hostname, "status", server_id=str(uuid.uuid4())) is None
        assert f"Agent of host {host.hostname} is up." in host.agent_log.read_text()


@pytest.mark.parametrize("end", [Host.kill_agent, Host.stop_agent])
def test_an_agent_that_ended_is_silent_until_it_is_started_again(
    testbed: Testbed, hosts: tuple[Host, Host], end: Callable[[Host], None]
) -> None:
    one, other = hosts
    end(one)
    testbed.agents.wait_for_silence(one.hostname, SILENT_S)
    testbed.agents.wait_for_heartbeat(other.hostname)
    with pytest.raises(messaging.MessagingTimeout):
        testbed.agents.client(1.0).call(one.hostname, "status", server_id=NOBODY)
    one.start_agent()
    testbed.agents.wait_for_heartbeat(one.hostname)
    assert testbed.agents.call(one.hostname, "status", server_id=NOBODY) is None


def test_a_host_whose_libvirtd_is_frozen_is_heard_and_says_so(
    testbed: Testbed, hosts: tuple[Host, Host]
) -> None:
    one, _ = hosts
    one.freeze_libvirtd()
    try:
        reasons = wait_for(
            "a reason is reported",
            60,
            lambda: testbed.agents.wait_for_heartbeat(one.hostname, BLOCKED_S).report["reasons"],
        )
        assert reasons[0]["code"] in ("libvirtd_silent", "libvirtd_stuck")
    finally:
        one.thaw_libvirtd()
    wait_for(
        "no reason is reported",
        120,
        lambda: not testbed.agents.wait_for_heartbeat(one.hostname).report["reasons"],
    )


@pytest.mark.long
def test_an_agent_whose_connection_to_libvirtd_is_never_made_starts_anew(
    testbed: Testbed, hosts: tuple[Host, Host]
) -> None:
    """libvirtd serves other clients, and its client library has no timeout for a call that gets no reply."""
    one, _ = hosts
    one.stop_agent()
    socket_path = pathlib.Path(one.uri.partition("socket=")[2])
    with StallingProxy(socket_path.with_name("door"), socket_path) as proxy:
        socket_path.with_name("door").chmod(0o777)  # the agent is not root
        one.start_agent(qemu={"libvirt_uri": "qemu+unix:///system?socket=/run/libvirt/door"})
        proxy.stall_next()
        wait_for(
            "a reason is reported",
            60,
            lambda: testbed.agents.wait_for_heartbeat(one.hostname, BLOCKED_S).report["reasons"],
        )
        wait_for("the agent exits", 90, lambda: "Exiting to be restarted." in one.agent_log.read_text())
        wait_for(
            "no reason is reported",
            30,
            lambda: not testbed.agents.wait_for_heartbeat(one.hostname, 30).report["reasons"],
        )
        proxy.shutdown()
    one.stop_agent()


def test_a_host_without_its_management_link_is_silent_but_not_dead(
    testbed: Testbed, hosts: tuple[Host, Host]
) -> None:
    one, other = hosts
    one.management.cut()
    try:
        testbed.agents.wait_for_silence(one.hostname, SILENT_S)
        testbed.agents.wait_for_heartbeat(other.hostname)
        assert other.reaches(one)
    finally:
        one.management.restore()
    testbed.agents.wait_for_heartbeat(one.hostname)
    assert testbed.agents.call(one.hostname, "status", server_id=NOBODY) is None


def test_what_an_agent_knows_outlives_a_power_cut(testbed: Testbed, hosts: tuple[Host, Host]) -> None:
    one, other = hosts
    role = RoleRecord(str(uuid.uuid4()), Role.SECONDARY, 7, other.hostname)
    roles = RoleStore(str(one.state_path))
    roles.put(role)
    users.NOVA.own_all(one.state_path)  # written by root
    one.power_cut()
    try:
        testbed.agents.wait_for_silence(one.hostname, SILENT_S)
        one.power_on()
        one.start_agent()
        replica = testbed.agents.call(one.hostname, "status", server_id=role.server_id)
        assert (replica["role"], replica["epoch"], replica["running"]) == (Role.SECONDARY, 7, False)
        assert role.server_id in testbed.agents.wait_for_heartbeat(one.hostname).report["servers"]
    finally:
        roles.delete(role.server_id)
        one.power_on()


def test_the_broker_is_nobody_elses(testbed: Testbed, hosts: tuple[Host, Host]) -> None:
    processes = [psutil.Process(int(path.read_text().split()[0])) for path in _pid_files("rabbitmq", "epmd")]
    addresses = {
        c.laddr.ip
        for process in processes
        for c in process.net_connections("tcp")
        if c.status == psutil.CONN_LISTEN
    }
    assert addresses <= {"127.0.0.1", "::1", hosts[0].management_address.rpartition(".")[0] + ".254"}


def test_the_brokers_password_is_kept(testbed: Testbed, hosts: tuple[Host, Host]) -> None:
    password = json.loads((PREFIX / "passwords.json").read_text())["broker"]
    assert password in testbed.broker().transport_url
    assert not [line for line in _command_lines() if password in line]
    readable = [path for path in PREFIX.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert not [path for path in readable if password.encode() in path.read_bytes()]


def test_two_beds_have_management_networks_of_their_own(testbed: Testbed) -> None:
    with Testbed(PREFIX.with_name("test-colo-other"), hosts=("a",)) as other:
        assert other.interface != testbed.interface
        assert other.hosts["a"].management_address != testbed.hosts["a"].management_address
    assert not pathlib.Path("/sys/class/net", other.interface).exists()


class StallingProxy(socketserver.ThreadingUnixStreamServer):
    """Unix socket that forwards connections, and can leave the next one without a reply.

    :param path: where it listens
    :param beyond: the socket that it forwards to
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, path: pathlib.Path, beyond: pathlib.Path) -> None:
        path.unlink(missing_ok=True)
        super().__init__(str(path), self._forward)
        self._beyond = str(beyond)
        self._inside: list[socket.socket] = []
        self._next_waits = False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def _forward(self, here: socket.socket, address: object, server: object) -> None:
        if self._next_waits:
            self._next_waits = False
            threading.Event().wait()
        there = socket.socket(socket.AF_UNIX)
        there.connect(self._beyond)
        self._inside += [here, there]
        threading.Thread(target=_copy, args=(there, here), daemon=True).start()
        _copy(here, there)

    def stall_next(self) -> None:
        """Leave the next connection without a reply, and close all present ones."""
        self._next_waits = True
        for end in self._inside:
            _close(end)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        _close(end)


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


def _pid_files(*names: str) -> list[pathlib.Path]:
    return [PREFIX / "pid" / name for name in names]


def _command_lines() -> list[str]:
    return [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
