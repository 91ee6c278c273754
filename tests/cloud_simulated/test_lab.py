# SPDX-License-Identifier: Apache-2.0
"""The lab's command line. That it leaves no process and no port behind is checked at the end of the tests."""

import stat

import psutil

from lab.core.process import MARK
from tests.fixtures.cloud import lab_command


def test_a_second_up_says_that_it_is_up_and_changes_nothing(lab, pair):
    before = {status.name: status.pid for status in lab.status()}
    done = lab_command(lab, "up")
    assert done.returncode == 0, done.stderr
    assert "already up" in done.stdout
    assert {status.name: status.pid for status in lab.status()} == before


def test_up_recovers_from_a_crash(lab, cloud, pair):
    lab.service("nova-scheduler").kill()
    lab.service("keystone").kill()
    assert lab_command(lab, "status").returncode == 1
    done = lab_command(lab, "up")
    assert done.returncode == 0, done.stderr
    assert all(status.state == "running" for status in lab.status())
    cloud.protected("web-1")


def test_unknown_hosts_and_services_are_refused_in_one_line(lab):
    for arguments, known in (
        (("host", "kill", "compute-z"), "compute-a"),
        (("service", "stop", "nobody"), "engine"),
    ):
        done = lab_command(lab, *arguments)
        assert done.returncode == 2
        assert known in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_passwords_are_private_and_in_no_command_line(lab):
    secrets = [lab.password(user) for user in ("admin", "demo", "viewer", "service")]
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert not [line for line in lines if any(secret in line for secret in secrets)]
    assert stat.S_IMODE(lab.layout.prefix.stat().st_mode) == 0o711  # hosts' users pass through it
    readable = [path for path in lab.layout.etc.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert not [path for path in readable if any(secret in path.read_text() for secret in secrets)]


def test_everything_listens_on_loopback_only(lab):
    ports = {status.port for status in lab.status() if status.port}
    connections = [
        c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr.port in ports
    ]
    # another lab may use the same ports at another address
    listening = [
        c.laddr for c in connections if psutil.Process(c.pid).environ().get(MARK) == str(lab.layout.prefix)
    ]
    assert {address.port for address in listening} == ports
    assert {address.ip for address in listening} <= {"127.0.0.1", "::1"}
