# SPDX-License-Identifier: Apache-2.0
"""Fence a primary: kill its QEMU from its peer's host while all processes on its own host are frozen.

An agent that was frozen together with its QEMU cannot block the QEMU's egress when both resume, and the
secondary may have been promoted meanwhile. The kernel of such a host still works. So the agent arms it in
advance: when a datagram with a token that only the peer's host knows arrives over the replication network,
the kernel sends the QEMU SIGKILL (fcntl_setown(2), socket(7): SIGIO, changed to SIGKILL by F_SETSIG).
"""

import ctypes
import dataclasses
import secrets
import socket
import struct

from oslo_log import log as logging

from nova_colo.agent.qemu import privileged
from nova_colo.agent.replication import ReplicationError
from nova_colo.pair import reasons
from nova_colo.pair.reasons import Reason

LOG = logging.getLogger(__name__)

#: From asm-generic/socket.h; Python does not define it.
_SO_ATTACH_FILTER = 26
#: BPF instructions (linux/bpf_common.h): load a word of the datagram, load its length, jump on a comparison
#: with the loaded value, return the number of bytes to keep.
_WORD, _LENGTH, _EQUAL, _KEEP = 0x20, 0x80, 0x15, 0x06
_UDP_HEADER, _TOKEN = 8, 16


@dataclasses.dataclass(frozen=True)
class Fence:
    """The UDP endpoint that fences one QEMU.

    :param address: the host's address in the replication network
    :param port: a UDP port
    :param token: the token that triggers the fence, in hexadecimal digits
    """

    address: str
    port: int
    token: str

    def arm(self, process: int, server_id: str) -> socket.socket:
        """Make this host's kernel kill a process when the token arrives.

        :param process: the pid of the QEMU
        :param server_id: whose QEMU it is
        :returns: the socket that receives the token; closing it disarms the fence
        :raises ReplicationError: when the fence cannot be armed
        """
        listener = self._socket()
        try:
            _filter_token(listener, bytes.fromhex(self.token))
            listener.bind((self.address, self.port))
            privileged.arm(listener, process, server_id)
        except OSError as error:
            listener.close()
            raise ReplicationError(
                reasons.FENCE_PORT(port=self.port, text=error.strerror or str(error))
            ) from error
        return listener

    def trigger(self, timeout: float) -> bool:
        """Send the token.

        :param timeout: seconds to wait for the refusal of a host where nobody listens for the token
        :returns: whether the host refused it: the fence was disarmed since the QEMU has ended, or the host
            was restarted
        """
        with self._socket() as sender:
            sender.settimeout(timeout)
            try:
                sender.connect((self.address, self.port))
                sender.send(bytes.fromhex(self.token))
                sender.recv(1)
            except ConnectionRefusedError:
                return True
            except OSError:  # no refusal: the fence is armed, or the host cannot be reached now
                return False
        return False

    def _socket(self) -> socket.socket:
        return socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET, socket.SOCK_DGRAM)


def make(address: str, port: int) -> Fence:
    """Return a fence with a new random token."""
    return Fence(address, port, secrets.token_hex(_TOKEN))


def _filter_token(listener: socket.socket, token: bytes) -> None:
    """Make the kernel drop all datagrams but those with the token, before they cause a signal."""
    words = struct.unpack("!4I", token)
    # each comparison that fails jumps to the last instruction, which drops the datagram
    program = [(_LENGTH, 0, 0, 0), (_EQUAL, 0, 2 * len(words) + 1, _UDP_HEADER + _TOKEN)]
    for number, word in enumerate(words):
        remaining = len(words) - number - 1
        program += [(_WORD, 0, 0, _UDP_HEADER + 4 * number), (_EQUAL, 0, 2 * remaining + 1, word)]
    program += [(_KEEP, 0, 0, _UDP_HEADER + _TOKEN), (_KEEP, 0, 0, 0)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    listener.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(code))
    )


class ArmedFence:
    """The fence of a primary on its own host: armed while the pair is in sync.

    :param server_id: of the primary, for the log
    """

    def __init__(self, server_id: str):
        self._server_id = server_id
        self._socket: socket.socket | None = None
        #: Why it could not be armed; None when it is armed, or was not tried.
        self.error: Reason | None = None

    @property
    def armed(self) -> bool:
        """Whether it is armed."""
        return self._socket is not None

    def arm(self, fence: Fence, process: int) -> None:
        """Arm it for a process, unless it is armed. An error is kept, and logged once."""
        if self._socket is not None:
            return
        try:
            self._socket, self.error = fence.arm(process, self._server_id), None
        except ReplicationError as error:
            if self.error != error.reason:
                LOG.warning("Failed to arm the fence of server %s: %s", self._server_id, error)
            self.error = error.reason

    def disarm(self) -> None:
        """Disarm it, if it is armed."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self.error = None, None
