# SPDX-License-Identifier: Apache-2.0
"""Where one QEMU of a pair listens for the other."""

import dataclasses

from nova_colo.agent.qemu import tls


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """A TCP port in the replication network.

    :param address: of the host that listens
    :param encrypted: over TLS only
    """

    address: str
    port: int
    encrypted: bool

    @property
    def inet(self) -> dict[str, str]:
        """As QEMU's InetSocketAddress."""
        return {"host": self.address, "port": str(self.port)}

    @property
    def uri(self) -> str:
        """As a migration names it."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"tcp:{host}:{self.port}"

    @property
    def listens(self) -> dict[str, str]:
        """What a QMP command that listens here needs besides."""
        return {"tls-creds": tls.SERVER} if self.encrypted else {}

    @property
    def connects(self) -> dict[str, str]:
        """What a QMP command that connects to here needs besides."""
        return {"tls-creds": tls.CLIENT} if self.encrypted else {}
