# SPDX-License-Identifier: Apache-2.0
"""An encrypted pair works like others, and a third machine has no access to it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from lab.core.errors import LabError
from lab.core.patience import patient
from lab.machines import Guest, Host, Testbed, users
from nova_colo.agent.replication import ReplicationError
from nova_colo.cmd import test_ca
from nova_colo.standalone.pair import PairError
from tests.qemu.conftest import PREFIX
from tests.qemu.lives import Life, listening


@pytest.fixture(scope="module")
def certificates(testbed: Testbed) -> dict[str, str]:
    """Return the folders of certificates by host: of one CA, and ``stranger`` of another."""
    folder = PREFIX / "certificates"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    hosts = {host.hostname: ip_address(host.address) for host in testbed.hosts.values()}
    folders = {path.name: str(path) for path in test_ca.issue(str(folder / "ours"), hosts, days=1)}
    c = testbed.hosts["c"]
    (stranger,) = test_ca.issue(str(folder / "theirs"), {"stranger": ip_address(c.address)}, days=1)
    for path in (folder, *folder.rglob("*")):  # as in the installation guide
        os.chown(path, 0, users.QEMU.number)
        path.chmod(0o750 if path.is_dir() else 0o640)
    return folders | {"stranger": str(stranger)}


@pytest.fixture(scope="module")
def life(testbed: Testbed, certificates: dict[str, str]) -> Iterator[Life]:
    life = Life(testbed, Guest("secret", number=145), tls=certificates)
    yield life
    life.close()


def export(host: Host, address: str, port: int, certificates: str | None) -> str:
    """Read from the image that a secondary exports to its primary.

    :raises LabError: when nothing is received
    """
    where = f"driver=nbd,server.type=inet,server.host={address},server.port={port},export=disk0"
    command = ["timeout", "20", "qemu-img", "info"]
    if certificates:
        command += ["--object", f"tls-creds-x509,id=tls,dir={certificates},endpoint=client"]
        where += ",tls-creds=tls"
    return host.run([*command, "--image-opts", where])


def server_output(host: Host, address: str, port: int) -> bytes:
    """Return what a server sends to a client without TLS that sends an empty line."""
    command = host.command(["timeout", "3", "busybox", "nc", address, str(port)])
    return subprocess.run(command, input=b"\n", capture_output=True, check=False).stdout


def ports(host: Host) -> list[int]:
    return [int(socket.rpartition(":")[2]) for socket in listening(host)]


def test_what_crosses_the_network_cannot_be_read(life, tmp_path):
    capture = tmp_path / "replication.pcap"
    host = life.host("compute-a")
    tcpdump = subprocess.Popen(
        host.command(["tcpdump", "-i", "repl", "-w", str(capture), "-U", "-s", "0"]),
        stderr=subprocess.DEVNULL,
    )
    try:
        life.wait("the capture begins", capture.exists)
        life.protect(target="compute-b")  # a third host stays free
        life.goes_on()
        codes = {reason["code"] for reason in life.replica("compute-a")["reasons"]}
        assert "certificate_ends" in codes, "it ends tomorrow"
    finally:
        tcpdump.terminate()
        tcpdump.wait()
    captured = capture.read_bytes()
    assert len(captured) > 10_000_000
    # every Linux has the kernel's own text in memory
    assert captured.count(b"Linux version") == 0


def test_a_third_machine_gets_nothing_not_even_with_a_certificate_of_its_own(life, certificates):
    pair = life.protect()
    third = life.host("compute-c")
    primary, secondary = life.host(pair.primary), life.host(pair.secondary)
    (disks,) = [
        port
        for port in ports(secondary)
        if server_output(third, secondary.address, port).startswith(b"NBDMAGIC")
    ]
    assert "virtual size: 64 MiB" in export(third, secondary.address, disks, certificates[pair.primary])
    for wrong in (None, certificates["stranger"], certificates["compute-c"]):
        with pytest.raises(LabError, match=r"TLS|certificate|handshake|authz|Connection"):
            export(third, secondary.address, disks, wrong)
    assert "virtual size: 64 MiB" in export(third, secondary.address, disks, certificates[pair.primary])
    others = [
        (host, port)
        for host in (primary, secondary)
        for port in ports(host)
        if (host, port) != (secondary, disks)
    ]
    assert len(others) >= 2
    assert [server_output(third, host.address, port) for host, port in others] == [b""] * len(others)
    life.goes_on()
    assert life.replica(pair.primary)["link_up"] and life.replica(pair.secondary)["link_up"]


def test_an_encrypted_pair_lives_through_the_loss_of_its_primary_and_a_planned_failover(life):
    pair = life.protect()
    assert life.replica(pair.primary)["stood_still_ms"] > 0
    life.host(pair.primary).kill_qemu(life.guest.name)
    life.wait_for_loss(pair.secondary)
    life.take_over(pair)
    life.goes_on()
    life.discard(pair.primary)
    pair = life.protect()  # reads the certificates again
    life.pair.set_mode(pair, "checkpoint", 200)
    life.goes_on()
    life.pair.set_mode(pair, "colo", 200)
    life.pair.fail_over(pair)
    life.on = pair.secondary
    life.goes_on()


def test_a_host_with_the_wrong_certificates_or_none_gets_no_secondary_and_the_guest_goes_on(
    life, certificates
):
    observation = life.observe()
    if observation.secondary:
        life.pair.run_unprotected(observation)
        life.discard(observation.secondary)
    c = life.host("compute-c")
    refused = "QEMU refused blockdev-add: The certificate hasn't got a known issuer"
    one_sided = (
        r"Only one of the two hosts encrypts. "
        r"Set \[qemu\] tls_x509_cert_dir on .* and .*compute-c.*, or on neither"
    )
    for folder, words in ((certificates["stranger"], refused), (None, one_sided)):
        life.restart_agent("compute-c", folder)
        with pytest.raises((PairError, ReplicationError), match=words):
            list(life.pair.protect(life.on, "compute-c", epoch=life.epoch(), timeout=patient(60)))
        life.goes_on()
        assert life.runs_on() == [life.on]
        assert listening(c) == []
