# SPDX-License-Identifier: Apache-2.0
"""TLS between the two QEMUs of a pair: who has no certificate of their CA gets nothing.

Each replica listens for some of the connections and makes others, so it has credentials of both kinds. QEMU reads
the files, which have the names that QEMU and libvirt use for all their TLS. (QEMU: docs/system/tls.rst)
"""

import contextlib
import datetime
import itertools
import pathlib
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from cryptography import x509

from nova_colo.agent.qemu.qmp.client import Guest, MonitorError
from nova_colo.agent.qemu.qmp.names import PREFIX
from nova_colo.pair import reasons
from nova_colo.pair.reasons import Reason

#: What a QEMU knows its credentials as.
SERVER, CLIENT = f"{PREFIX}tls-server", f"{PREFIX}tls-client"

CA, SERVER_CERTIFICATE, CLIENT_CERTIFICATE = "ca-cert.pem", "server-cert.pem", "client-cert.pem"
FILES = (CA, SERVER_CERTIFICATE, "server-key.pem", CLIENT_CERTIFICATE, "client-key.pem")


def load(guest: Guest, folder: str) -> None:
    """Let a QEMU read its certificates and keys, be it anew: they may have been renewed.

    :param folder: with FILES in it
    """
    unload(guest)
    for name, endpoint in ((SERVER, "server"), (CLIENT, "client")):
        credentials = {"qom-type": "tls-creds-x509", "id": name, "dir": folder, "endpoint": endpoint}
        guest("object-add", credentials | {"verify-peer": True})


def unload(guest: Guest) -> None:
    """Let a QEMU forget its certificates and keys. Connections that use them go on."""
    for name in (SERVER, CLIENT):
        with contextlib.suppress(MonitorError):  # it has none
            guest("object-del", {"id": name})


def unmet_requirements(folder: str, address: str) -> list[Reason]:
    """Return what is wrong with a host's certificates; nothing when QEMU can use them.

    :param folder: with FILES in it; keys may be readable by QEMU's user only
    :param address: this host's in the replication network, for which the server's certificate must be
    """
    where = pathlib.Path(folder)
    missing = [name for name in FILES if not (where / name).exists()]
    if missing:
        return [reasons.TLS_MISSING(files=missing, folder=folder)]
    wrong = (
        _wrong(where / CA),
        _wrong(where / SERVER_CERTIFICATE, address),
        _wrong(where / CLIENT_CERTIFICATE),
    )
    return list(itertools.chain.from_iterable(wrong))


def _wrong(path: pathlib.Path, address: str | None = None) -> Iterator[Reason]:
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
