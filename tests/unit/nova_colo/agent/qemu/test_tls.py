# SPDX-License-Identifier: Apache-2.0
"""nova-colo-manage test-ca issues usable certificates, and an agent reports problems of its own."""

import argparse
import datetime
import pathlib
import stat
import subprocess
from ipaddress import ip_address

import pytest

from nova_colo.agent.qemu import tls
from nova_colo.cmd import test_ca
from nova_colo.pair import reasons
from tests.fixtures import programs

ADDRESS = "192.0.2.11"


@pytest.fixture
def ca(tmp_path) -> pathlib.Path:
    hosts = {"compute-a": ip_address(ADDRESS), "compute-b": ip_address("2001:db8::12")}
    list(test_ca.issue(str(tmp_path / "ca"), hosts, days=1))
    return tmp_path / "ca"


def verify(ca: pathlib.Path, certificate: pathlib.Path, purpose: str) -> None:
    command = [
        "openssl",
        "verify",
        "-x509_strict",
        "-purpose",
        purpose,
        "-CAfile",
        str(ca / "ca-cert.pem"),
        str(certificate),
    ]
    subprocess.run(command, check=True, capture_output=True)


def test_certificates_are_good_for_what_they_are_for_and_nothing_else(ca):
    for host in ("compute-a", "compute-b"):
        verify(ca, ca / host / "server-cert.pem", "sslserver")
        verify(ca, ca / host / "client-cert.pem", "sslclient")
        with pytest.raises(subprocess.CalledProcessError):
            verify(ca, ca / host / "client-cert.pem", "sslserver")
    assert tls.unmet_requirements(str(ca / "compute-a"), ADDRESS) == []
    assert tls.unmet_requirements(str(ca / "compute-b"), "2001:db8:0::12") == []


def test_a_host_is_known_by_the_name_in_its_client_certificate_in_either_order(ca):
    assert tls.names(str(ca / "compute-a")) == [
        "CN=compute-a,O=nova-colo test",
        "O=nova-colo test,CN=compute-a",
    ]


def test_the_end_of_a_certificate_is_announced(ca):
    now = datetime.datetime.now(datetime.UTC)
    folder = str(ca / "compute-a")
    end = tls.ends_soon(folder, now)
    assert end is not None and 0 <= (end - now.date()).days <= 2
    assert tls.ends_soon(folder, now - datetime.timedelta(tls.WARNING_DAYS + 2)) is None
    (ca / "compute-a" / "server-cert.pem").unlink()
    assert tls.ends_soon(folder, now) is not None, "the others end, too"


def test_keys_are_for_their_owner_only(ca):
    keys = list(ca.rglob("*-key.pem"))
    assert len(keys) == 5
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_hosts_can_be_added_and_none_is_overwritten(ca):
    before = (ca / "compute-a" / "server-key.pem").read_bytes()
    done = programs.run(
        "nova-colo-manage", "test-ca", str(ca), "compute-c=192.0.2.13", f"compute-a={ADDRESS}"
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"nova-colo-manage: {ca}/compute-a already exists. Remove it to create a new one.\n"
    assert not (ca / "compute-c").exists()
    done = programs.run("nova-colo-manage", "test-ca", str(ca), "compute-c=192.0.2.13")
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        done.stdout
        == f"{ca}/compute-c: copy it to compute-c, as the folder that [qemu] tls_x509_cert_dir names there.\n"
    )
    verify(ca, ca / "compute-c" / "server-cert.pem", "sslserver")
    assert (ca / "compute-a" / "server-key.pem").read_bytes() == before


def test_what_cannot_be_read_is_said_and_nothing_is_made(tmp_path):
    done = programs.run("nova-colo-manage", "test-ca", str(tmp_path / "ca"), "compute-a=192.0.2")
    assert done.returncode == 2
    assert "'192.0.2' does not appear to be an IPv4 or IPv6 address" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "ca").exists()


@pytest.mark.parametrize(
    "text", ["a", "../a=192.0.2.11", "=192.0.2.11", "a b=192.0.2.11", "ca-cert.pem=192.0.2.11", "a=host"]
)
def test_hosts_have_a_name_and_an_address(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is not NAME=ADDRESS"):
        test_ca.host_address(text)


@pytest.mark.parametrize("text", ["0", "-1", "3651", "1.5", "ten"])
def test_days_are_a_number_of_days(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is not a number of days from 1 to 3650"):
        test_ca.days(text)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(test_ca.CaError, match="is not empty, and not an authority that was made here"):
        list(test_ca.issue(str(tmp_path), {"compute-a": ADDRESS}, days=1))
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_an_agent_says_what_is_wrong_with_its_certificates(ca, tmp_path):
    folder = ca / "compute-a"
    said = tls.unmet_requirements(str(folder), "192.0.2.99")
    assert said == [reasons.TLS_OTHER_ADDRESS(path=f"{folder}/server-cert.pem", address="192.0.2.99")]
    (folder / "client-cert.pem").write_text("no certificate")
    (unreadable,) = tls.unmet_requirements(str(folder), ADDRESS)
    assert str(unreadable).startswith(f"The TLS certificate {folder}/client-cert.pem cannot be read: ")
    (folder / "client-key.pem").unlink()
    assert tls.unmet_requirements(str(folder), ADDRESS) == [
        reasons.TLS_MISSING(files=["client-key.pem"], folder=str(folder))
    ]
    assert tls.unmet_requirements("/no/such/folder", ADDRESS) == [
        reasons.TLS_MISSING(files=tls.FILES, folder="/no/such/folder")
    ]


def test_an_agent_says_that_a_certificate_has_expired(tmp_path):
    for made in test_ca.issue(str(tmp_path / "ca"), {"compute-a": ip_address(ADDRESS)}, days=0):
        said = tls.unmet_requirements(str(made), ADDRESS)
    assert len(said) == 3
    assert {reason.code for reason in said} == {"tls_expired"}
