# SPDX-License-Identifier: Apache-2.0
"""TLS between the two QEMUs of a pair, with mutual authentication by certificates of their CA.

A QEMU that listens admits the client certificate of its peer's host only: the agents tell each other, through
the engine, whose that is. A QEMU that connects checks that the certificate is valid for the peer's address.

Each replica listens for some of the connections and opens others, so it has credentials of both kinds. QEMU
reads the files, which have the usual names of QEMU and libvirt. (QEMU: docs/system/tls.rst)
"""

import contextlib
import datetime
import itertools
import pathlib
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from nova_colo.agent.qemu.qmp.client import Guest, MonitorError
from nova_colo.agent.qemu.qmp.names import PREFIX
from nova_colo.pair import reasons
from nova_colo.pair.reasons import Reason

#: Ids of the objects in QEMU: credentials, and who is admitted.
SERVER, CLIENT, PEER = f"{PREFIX}tls-server", f"{PREFIX}tls-client", f"{PREFIX}tls-peer"

CA, SERVER_CERTIFICATE, CLIENT_CERTIFICATE = "ca-cert.pem", "server-cert.pem", "client-cert.pem"
#: GnuTLS's names of attributes that RFC 4514 does not name.
GNUTLS = {
    NameOID.EMAIL_ADDRESS: "EMAIL",
    NameOID.SERIAL_NUMBER: "serialNumber",
    NameOID.TITLE: "title",
}
#: Days for which the end of a certificate is announced.
WARNING_DAYS = 30
FILES = (CA, SERVER_CERTIFICATE, "server-key.pem", CLIENT_CERTIFICATE, "client-key.pem")


def names(folder: str) -> list[str]:
    """Return the name in a host's client certificate, in each form in which its peer's QEMU may know it.

    RFC 4514 begins with the last part of a name; older GnuTLS begins with the first.

    :param folder: the folder with FILES
    """
    certificate = x509.load_pem_x509_certificate((pathlib.Path(folder) / CLIENT_CERTIFICATE).read_bytes())
    subject = certificate.subject
    return [
        subject.rfc4514_string(GNUTLS),
        ",".join(part.rfc4514_string(GNUTLS) for part in subject.rdns),
    ]


def load(guest: Guest, folder: str, peer: Sequence[str]) -> None:
    """Load the certificates and keys into a QEMU, replacing those that it has: they may have been renewed.

    :param folder: the folder with FILES
    :param peer: the forms of the name of the only host that is admitted; empty to admit every host with a
        certificate of the CA
    """
    unload(guest)
    for name, endpoint in ((SERVER, "server"), (CLIENT, "client")):
        credentials = {"qom-type": "tls-creds-x509", "id": name, "dir": folder, "endpoint": endpoint}
        guest("object-add", credentials | {"verify-peer": True})
    if peer:
        rules = [{"match": name, "policy": "allow", "format": "exact"} for name in peer]
        guest("object-add", {"qom-type": "authz-list", "id": PEER, "policy": "deny", "rules": rules})


def unload(guest: Guest) -> None:
    """Remove the certificates and keys from a QEMU. Connections that use them stay open."""
    for name in (SERVER, CLIENT, PEER):
        with contextlib.suppress(MonitorError):  # it has none
            guest("object-del", {"id": name})


def unmet_requirements(folder: str, address: str) -> list[Reason]:
    """Return the problems of a host's certificates; nothing when QEMU can use them.

    :param folder: the folder with FILES; keys may be readable by QEMU's user only
    :param address: this host's address in the replication network; the server certificate must be valid for
        it
    """
    where = pathlib.Path(folder)
    try:
        missing = [name for name in FILES if not (where / name).exists()]
    except OSError as error:
        return [reasons.TLS_UNREADABLE(path=folder, text=error.strerror)]
    if missing:
        return [reasons.TLS_MISSING(files=missing, folder=folder)]
    problems = (
        _problems(where / CA),
        _problems(where / SERVER_CERTIFICATE, address),
        _problems(where / CLIENT_CERTIFICATE),
    )
    return list(itertools.chain.from_iterable(problems))


def ends_soon(folder: str, now: datetime.datetime) -> datetime.date | None:
    """Return the day on which the first of a host's certificates ends, if that is within WARNING_DAYS.

    :param folder: the folder with FILES
    :param now: with a time zone
    """
    ends = []
    for name in (CA, SERVER_CERTIFICATE, CLIENT_CERTIFICATE):
        try:
            certificate = x509.load_pem_x509_certificate((pathlib.Path(folder) / name).read_bytes())
        except (OSError, ValueError):
            continue  # an unmet requirement
        ends.append(certificate.not_valid_after_utc)
    first = min(ends, default=None)
    return first.date() if first is not None and first - now <= datetime.timedelta(WARNING_DAYS) else None


def _problems(path: pathlib.Path, address: str | None = None) -> Iterator[Reason]:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        yield reasons.TLS_UNREADABLE(path=str(path), text=str(error))
        return
    now = datetime.datetime.now(datetime.UTC)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begins <= now <= ends:
        period = {"begins": f"{begins:%Y-%m-%d %H:%M}", "ends": f"{ends:%Y-%m-%d %H:%M}"}
        yield reasons.TLS_EXPIRED(path=str(path), **period)
    if address is not None and ip_address(address) not in _addresses(certificate):
        yield reasons.TLS_OTHER_ADDRESS(path=str(path), address=address)


def _addresses(certificate: x509.Certificate) -> list[Any]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return names.value.get_values_for_type(x509.IPAddress)
