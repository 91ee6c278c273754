# SPDX-License-Identifier: Apache-2.0
"""TCP endpoints on which one QEMU of a pair listens for the other."""

import dataclasses

from nova_colo.agent.qemu import tls


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """A TCP port in the replication network.

    :param address: the address of the listening host
    :param encrypted: whether connections use TLS
    :param checked: whether the listening host has loaded the name of the only host that it admits
    """

    address: str
    port: int
    encrypted: bool
    checked: bool = False

    @property
    def inet(self) -> dict[str, str]:
        """The endpoint as QEMU's InetSocketAddress."""
        return {"host": self.address, "port": str(self.port)}

    @property
    def uri(self) -> str:
        """The endpoint as the URI of a migration."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"tcp:{host}:{self.port}"

    @property
    def listens(self) -> dict[str, str]:
        """Further arguments of a QMP command that listens on this endpoint."""
        if not self.encrypted:
            return {}
        return {"tls-creds": tls.SERVER} | ({"tls-authz": tls.PEER} if self.checked else {})

    @property
    def connects(self) -> dict[str, str]:
        """Further arguments of a QMP command that connects to this endpoint."""
        return {"tls-creds": tls.CLIENT} if self.encrypted else {}
