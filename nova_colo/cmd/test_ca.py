# SPDX-License-Identifier: Apache-2.0
"""A certificate authority to test encrypted replication. Readers of its folder can impersonate every host."""

import argparse
import datetime
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA, CA_KEY = "ca-cert.pem", "ca-key.pem"
ORGANIZATION = "nova-colo test"
USES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}

Key = ec.EllipticCurvePrivateKey
Address = IPv4Address | IPv6Address


class CaError(Exception):
    """The folder cannot be used; the message has the cause."""


def host_address(text: str) -> tuple[str, Address]:
    """Read NAME=ADDRESS.

    :raises argparse.ArgumentTypeError: when it is something else
    """
    name, _, address = text.partition("=")
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", name) or name in (CA, CA_KEY):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=ADDRESS with the name of a host")
    try:
        return name, ip_address(address)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=ADDRESS: {error}") from error


def days(text: str) -> int:
    """Read a number of days.

    :raises argparse.ArgumentTypeError: when it is something else
    """
    if not text.isdecimal() or not 1 <= int(text) <= 3650:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days from 1 to 3650")
    return int(text)


def issue(folder: str, hosts: Mapping[str, Address], days: int) -> Iterator[pathlib.Path]:
    """Create a folder for each host, with all files for [qemu] tls_x509_cert_dir.

    The first call creates the authority.

    :param folder: of the authority
    :param hosts: addresses in the replication network, by host name
    :param days: validity of the certificates, and of a new authority
    :returns: the hosts' folders, each when it is complete
    :raises CaError: when a host has its folder already, or the authority's files cannot be read; nothing is
        changed then
    :raises OSError: when a file cannot be written
    """
    root = pathlib.Path(folder)
    taken = [name for name in hosts if (root / name).exists()]
    if taken:
        raise CaError(f"{root / taken[0]} already exists. Remove it to create a new one.")
    authority, key = _authority(root, days)
    for name, address in hosts.items():
        yield _host(root / name, (authority, key), name, address, days)


def _authority(root: pathlib.Path, days: int) -> tuple[x509.Certificate, Key]:
    if root.exists() and any(root.iterdir()):
        try:
            key = serialization.load_pem_private_key((root / CA_KEY).read_bytes(), None)
            if not isinstance(key, Key):
                raise TypeError(f"{CA_KEY} is another kind of key")
            return x509.load_pem_x509_certificate((root / CA).read_bytes()), key
        except (OSError, ValueError, TypeError) as error:
            raise CaError(f"{root} is not empty, and not an authority that was made here: {error}") from error
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nova-colo test CA")])
    certificate = (
        _builder(name, name, key, key, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write_key(root / CA_KEY, key)
    (root / CA).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def _host(
    folder: pathlib.Path, authority: tuple[x509.Certificate, Key], name: str, address: Address, days: int
) -> pathlib.Path:
    issuer, issuer_key = authority
    folder.mkdir(mode=0o700)
    (folder / CA).write_bytes(issuer.public_bytes(serialization.Encoding.PEM))
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    for use, purpose in USES.items():
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(subject, issuer.subject, key, issuer_key, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(address)]), critical=False
            )
            .sign(issuer_key, hashes.SHA256())
        )
        _write_key(folder / f"{use}-key.pem", key)
        (folder / f"{use}-cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return folder


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, issuer_key: Key, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # clocks differ
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )


def _key_usage(**wanted: bool) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
    )
    return x509.KeyUsage(**dict.fromkeys(names, False) | wanted, encipher_only=False, decipher_only=False)


def _write_key(path: pathlib.Path, key: Key) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(pem)
