# SPDX-License-Identifier: Apache-2.0
"""The peer of a replica as seen from the replica's host: its silence, and the connections with it."""

from collections.abc import Callable, Collection

from oslo_log import log as logging

from nova_colo.agent.qemu.peer_probe import PeerProbe
from nova_colo.agent.qemu.state_store import Record

LOG = logging.getLogger(__name__)

ShutDown = Callable[[str, Collection[int], Collection[int]], None]


class Peer:
    """The peer of a replica.

    :param record: the replica's
    :param probe: probes the peer's host
    :param shut_down: shuts down connections of the replica's QEMU, see
        :func:`nova_colo.agent.qemu.privileged.shut_down_connections`
    """

    def __init__(self, record: Record, probe: PeerProbe, shut_down: ShutDown):
        self._record = record
        self._probe = probe
        self._shut_down = shut_down

    def silence_s(self) -> float | None:
        """Return for how many seconds the peer's host has not answered; None without a peer."""
        address = self._record.peer
        return None if address is None else self._probe.age(address)

    def shut_down_connections(self) -> None:
        """Shut down the TCP connections with the peer from outside of QEMU.

        QEMU's monitor does not answer while QEMU drains its disks, as at each checkpoint. Draining never ends
        if the peer vanished in the middle of a write, or before it acknowledged one.
        """
        record = self._record
        if record.peer is None:
            return
        try:
            self._shut_down(record.peer, record.ports, record.peer_ports)
        except OSError as error:
            LOG.warning(
                "Failed to shut down the connections of server %s with its peer: %s", record.server_id, error
            )
