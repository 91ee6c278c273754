# SPDX-License-Identifier: Apache-2.0
"""The agent runs as nova. What it has done as root is little, and refused for what is not its own."""

import json
import os
import pathlib
import sys
from collections.abc import Iterator

import psutil
import pytest

from lab.machines import Host, Testbed, users
from tests.fixtures.cloud import wait_for

SERVER = "1f0f0c3e-0000-4000-8000-000000000001"
#: Calls privileged functions as the agent does, and prints the errors; None for none.
CALLS = """
import json, socket, sys
from oslo_config import cfg
from nova_colo.agent.qemu import privileged

cfg.CONF(["--config-file", sys.argv[1]], project="nova-colo")
errors = []
for name, *arguments in json.loads(sys.argv[2]):
    if name == "arm":
        arguments = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM), *arguments]
    try:
        getattr(privileged, name)(*arguments)
        errors.append(None)
    except OSError as error:
        errors.append(type(error).__name__)
print(json.dumps(errors))
"""


@pytest.fixture
def host(testbed: Testbed) -> Iterator[Host]:
    host = testbed.hosts["a"]
    host.start_agent()
    testbed.agents.wait_for_heartbeat(host.hostname)
    return host


def errors(host: Host, *calls: tuple[object, ...]) -> list[str | None]:
    """Call privileged functions as nova, and return the types of their errors."""
    argv = [sys.executable, "-c", CALLS, str(host.agent_conf), json.dumps(calls)]
    result = host.run(users.command_as(users.NOVA, argv))
    return json.loads(result.splitlines()[-1])


def processes(host: Host, begin: str) -> list[psutil.Process]:
    """Return the processes of a host whose command line begins so, without their interpreter."""
    found = []
    for pid in host.namespace.pids():
        process = psutil.Process(pid)
        command = " ".join(process.cmdline())
        if command.removeprefix(f"{sys.executable} ").startswith(begin):
            found.append(process)
    return found


def test_only_the_helper_is_root_and_has_three_capabilities(host: Host) -> None:
    agents, (helper,) = processes(host, "nova-colo-agent"), processes(host, str(users.HELPER))
    assert {process.uids().real for process in agents} == {users.NOVA.number}
    status = pathlib.Path(f"/proc/{helper.pid}/status").read_text()
    capabilities = next(line for line in status.splitlines() if line.startswith("CapEff:")).split()[1]
    names = {"chown": 0, "dac_read_search": 2, "sys_ptrace": 19}
    assert helper.uids().real == 0
    assert int(capabilities, 16) == sum(1 << number for number in names.values())


def test_files_of_others_are_not_taken(host: Host) -> None:
    folder = host.outside(host.instances / SERVER)
    folder.mkdir()
    users.NOVA.own(folder)
    try:
        qemus, linked, theirs = folder / "disk", folder / "linked", folder.parent / "theirs"
        qemus.touch()
        users.QEMU.own(qemus)
        linked.touch()
        os.link(linked, folder / "other-name")
        theirs.mkdir()
        (theirs / "file").touch()
        inside = [str(host.instances / SERVER / name) for name in ("disk", "linked")]
        calls = [("reclaim", path) for path in (*inside, "/etc/hosts", str(host.instances / "theirs/file"))]
        assert errors(host, *calls) == [None, *["PermissionError"] * 3]
        assert (qemus.stat().st_uid, linked.stat().st_uid) == (users.NOVA.number, 0)
    finally:
        host.run(["rm", "-r", str(host.instances / SERVER), str(host.instances / "theirs")])


def test_only_the_servers_qemu_can_be_killed(host: Host) -> None:
    first = pathlib.Path("/proc/1/cmdline").read_text().split("\0")[0]
    calls = [("arm", 1, server) for server in (SERVER, "", first)]
    assert errors(host, *calls) == ["PermissionError"] * 3


def test_a_host_without_a_rule_for_sudo_says_so(testbed: Testbed, host: Host) -> None:
    rules = host.outside(host.instances).parent / "sudoers"
    text = rules.read_text()
    host.stop_agent()
    rules.write_text("")
    try:
        host.start_agent()
        reasons = testbed.agents.wait_for_heartbeat(host.hostname).report["reasons"]
        assert [reason["code"] for reason in reasons] == ["host_no_privileges"]
    finally:
        rules.write_text(text)

    def can_again() -> bool:
        return not testbed.agents.wait_for_heartbeat(host.hostname).report["reasons"]

    wait_for("it can be used again", 60, can_again)
