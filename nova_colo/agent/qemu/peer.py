# SPDX-License-Identifier: Apache-2.0
"""The peer of a replica as seen from the replica's host: its silence, and the connections with it."""

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterable

from oslo_log import log as logging

from nova_colo.agent.qemu.peer_probe import PeerProbe
from nova_colo.agent.qemu.state_store import Record

LOG = logging.getLogger(__name__)


class Peer:
    """The peer of a replica.

    :param record: the replica's
    :param probe: probes the peer's host
    :param sockets: returns duplicates of the connected sockets of the replica's QEMU
    """

    def __init__(self, record: Record, probe: PeerProbe, sockets: Callable[[], Iterable[socket.socket]]):
        self._record = record
        self._probe = probe
        self._sockets = sockets

    def silence_s(self) -> float | None:
        """Return for how many seconds the peer's host has not answered; None without a peer."""
        address = self._record.peer
        return None if address is None else self._probe.age(address)

    def shut_down_connections(self) -> None:
        """Shut down the TCP connections with the peer from outside of QEMU.

        QEMU's monitor does not answer while QEMU drains its disks, as at each checkpoint. Draining never ends
        if the peer vanished in the middle of a write, or before it acknowledged one.
        """
        try:
            for connection in self._sockets():
                with contextlib.suppress(OSError):  # it listens, or has been closed
                    if self._is_end_of(connection):
                        connection.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            LOG.warning(
                "Failed to shut down the connections of server %s with its peer: %s",
                self._record.server_id,
                error,
            )

    def _is_end_of(self, connection: socket.socket) -> bool:
        """Return whether a socket of QEMU is one of the pair's connections.

        :raises OSError: when it is not connected
        """
        record = self._record
        if record.peer is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
            return False
        own, (address, port, *_) = connection.getsockname(), connection.getpeername()
        is_pairs = own[1] in record.ports or port in record.peer_ports
        return is_pairs and ipaddress.ip_address(address) == ipaddress.ip_address(record.peer)
