# SPDX-License-Identifier: Apache-2.0
"""A stopped process is killed by the kernel when it receives the fence's token, and for nothing else."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest

from nova_colo.agent.qemu import fencing
from nova_colo.agent.qemu.fencing import Fence
from nova_colo.agent.replication import ReplicationError
from tests.fixtures import programs

PATIENCE = 10
SERVER = "s-1"


@pytest.fixture
def frozen(tmp_path) -> Iterator[subprocess.Popen]:
    """Yield a process, with a server's id among its arguments as QEMU's, that is stopped by SIGSTOP."""
    process = programs.start_as_qemu_of(SERVER, tmp_path)
    process.send_signal(signal.SIGSTOP)
    yield process
    process.kill()
    process.wait()


def free_port(address: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


@pytest.fixture(params=["127.0.0.1", "::1"])
def fence(request) -> Fence:
    try:
        return fencing.make(request.param, free_port(request.param))
    except OSError as error:
        pytest.skip(f"this machine has no {request.param}: {error}")


def test_the_word_ends_it(fence, frozen):
    with fence.arm(frozen.pid, SERVER):
        assert fence.trigger(0) is False
        assert frozen.wait(PATIENCE) == -signal.SIGKILL


def test_it_is_said_when_nobody_waits_for_the_word(fence, frozen):
    with fence.arm(frozen.pid, SERVER):
        assert not fence.trigger(0.1)
    assert fence.trigger(PATIENCE)


def test_a_host_that_cannot_be_reached_says_nothing():
    assert not fencing.make("255.255.255.255", 9).trigger(0.1)


def test_no_other_word_ends_it(frozen):
    fence = fencing.make("127.0.0.1", free_port("127.0.0.1"))
    token = bytes.fromhex(fence.token)
    one_byte_wrong = [token[:i] + bytes([token[i] ^ 1]) + token[i + 1 :] for i in range(len(token))]
    with fence.arm(frozen.pid, SERVER) as waiting:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as saying:
            for other in [b"", token[:-1], token + b"\0", token[::-1], *one_byte_wrong]:
                saying.sendto(other, (fence.address, fence.port))
        waiting.settimeout(0.5)
        with pytest.raises(TimeoutError):
            waiting.recv(64)
        assert frozen.poll() is None
        assert not fence.trigger(0)  # after all the wrong tokens, the right one works
        assert frozen.wait(PATIENCE) == -signal.SIGKILL


def test_each_has_a_word_of_its_own():
    assert len({fencing.make("127.0.0.1", 9).token for _ in range(100)}) == 100


def test_a_port_that_is_taken_is_named(fence, frozen):
    with (
        fence.arm(frozen.pid, SERVER),
        pytest.raises(ReplicationError, match=f"UDP port {fence.port}: Address already in use"),
    ):
        fence.arm(frozen.pid, SERVER)


@pytest.mark.parametrize("server", ["s-2", "", "-c", "-uuid"])
def test_a_process_that_is_not_the_servers_qemu_is_refused(fence, frozen, server):
    with pytest.raises(ReplicationError, match=f"process {frozen.pid} is not the QEMU of {server}"):
        fence.arm(frozen.pid, server)
    assert fence.trigger(PATIENCE)  # the port is free again


@pytest.mark.parametrize("change", ["another name", "writable for others", "not root's"])
def test_a_program_that_is_not_qemus_is_refused(fence, tmp_path, change):
    program = programs.start_as_qemu_of(SERVER, tmp_path)
    program.kill()
    program.wait()
    file = tmp_path / "qemu-system-x86_64"
    match change:
        case "another name":
            file = file.rename(tmp_path / "sleep")
        case "writable for others":
            file.chmod(0o777)
        case _:
            os.chown(file, 65534, 65534)
    with subprocess.Popen([file, "-c", "read -r line", "-uuid", SERVER], stdin=subprocess.PIPE) as other:
        with pytest.raises(ReplicationError, match="is not the QEMU of"):
            fence.arm(other.pid, SERVER)
        other.kill()
