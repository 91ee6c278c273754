# SPDX-License-Identifier: Apache-2.0
"""How a primary's QEMU is ended from its twin's host while everything on its own host stands still.

An agent that is frozen with its QEMU holds nothing back when both go on, and its twin may have taken over meanwhile. But the
kernel of such a host goes on. The agent has asked it to kill the QEMU as soon as a word comes over the replication network
that only the twin's host knows (fcntl_setown(2), socket(7): SIGIO, made SIGKILL).
"""

import ctypes
import dataclasses
import fcntl
import os
import pathlib
import secrets
import signal
import socket
import struct

from nova_colo.agent.replication import ReplicationError
from nova_colo.pair import reasons

#: asm-generic/socket.h, which Python lacks.
_SO_ATTACH_FILTER = 26
#: linux/bpf_common.h: load a word of the datagram, load its length, go on or skip by what was loaded, keep so many bytes of it.
_WORD, _LENGTH, _EQUAL, _KEEP = 0x20, 0x80, 0x15, 0x06
_UDP_HEADER, _TOKEN = 8, 16


@dataclasses.dataclass(frozen=True)
class Fence:
    """Where a host waits for the word that ends one QEMU on it.

    :param address: of the host, in the replication network
    :param port: a UDP port
    :param token: the word, in hexadecimal digits
    """

    address: str
    port: int
    token: str

    def arm(self, process: int) -> socket.socket:
        """Let this host's kernel kill a process when the word comes, until what is returned is closed.

        :param process: its pid
        :raises ReplicationError: when that cannot be had
        """
        listener = self._socket()
        try:
            # the kernel looks at this when the word comes, and would say nothing
            if os.geteuid() not in (0, pathlib.Path(f"/proc/{process}").stat().st_uid):
                raise PermissionError("the agent must run as root, or as QEMU does")
            _filter_token(listener, bytes.fromhex(self.token))
            listener.bind((self.address, self.port))
            fcntl.fcntl(listener, fcntl.F_SETOWN, process)
            fcntl.fcntl(listener, fcntl.F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(listener, fcntl.F_SETFL, fcntl.fcntl(listener, fcntl.F_GETFL) | os.O_ASYNC)
        except OSError as error:
            listener.close()
            raise ReplicationError(
                reasons.FENCE_PORT(port=self.port, text=error.strerror or str(error))
            ) from error
        return listener

    def trigger(self, timeout: float) -> bool:
        """Say the word.

        :param timeout: seconds that the host may take to say that nobody waits for it
        :returns: whether it has said that: the QEMU is gone and its agent knows, or the host was started anew
        """
        with self._socket() as sender:
            sender.settimeout(timeout)
            try:
                sender.connect((self.address, self.port))
                sender.send(bytes.fromhex(self.token))
                sender.recv(1)
            except ConnectionRefusedError:
                return True
            except OSError:  # the host is silent, as one that waits for the word is, or cannot be reached now
                return False
        return False

    def _socket(self) -> socket.socket:
        return socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET, socket.SOCK_DGRAM)


def make(address: str, port: int) -> Fence:
    """Return a fence with a word of its own."""
    return Fence(address, port, secrets.token_hex(_TOKEN))


def _filter_token(listener: socket.socket, token: bytes) -> None:
    """Let the kernel drop whatever comes but one word, before anybody is told of it."""
    words = struct.unpack("!4I", token)
    # each comparison that fails goes to the last instruction
    program = [(_LENGTH, 0, 0, 0), (_EQUAL, 0, 2 * len(words) + 1, _UDP_HEADER + _TOKEN)]
    for number, word in enumerate(words):
        left = len(words) - number - 1
        program += [(_WORD, 0, 0, _UDP_HEADER + 4 * number), (_EQUAL, 0, 2 * left + 1, word)]
    program += [(_KEEP, 0, 0, _UDP_HEADER + _TOKEN), (_KEEP, 0, 0, 0)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    listener.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(code))
    )
