# SPDX-License-Identifier: Apache-2.0
"""Whether a twin's host answers on the replication network.

QEMU says nothing of a link that is cut or a peer that is frozen. The kernel of a host that is there answers an attempt to
connect, be it with a refusal, whether its agent and its QEMUs do or not.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable

#: Seconds between two attempts, and for each.
INTERVAL_S, TIMEOUT_S = 0.25, 0.5
#: Seconds without an attempt from which on it is this process that stands still, and nothing is known of the other host.
STALL_S = 1.0
#: Seconds for which a host is asked that nobody wants to know of.
WANTED_S = 30.0


def answers(address: str, port: int, timeout: float = TIMEOUT_S) -> bool:
    """Return whether a host answers on the replication network.

    :param port: one that the network lets through, whether somebody listens there or not
    :param timeout: seconds
    """
    try:
        socket.create_connection((address, port), timeout).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


class Reach:
    """Asks the hosts of twins in a thread for each, for as long as somebody wants to know.

    :param port: where they are asked
    """

    def __init__(
        self,
        port: int,
        ask: Callable[[str, int], bool] = answers,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._port = port
        self._ask = ask
        self._clock = clock
        self._lock = threading.Lock()
        self._answered: dict[str, float] = {}
        self._acted: dict[str, float] = {}
        self._wanted: dict[str, float] = {}

    def age(self, address: str) -> float:
        """Return for how many seconds a host has not answered; it is asked from the first call on, and answers till then."""
        now = self._clock()
        with self._lock:
            new = address not in self._wanted
            self._wanted[address] = now
            if new:
                self._answered[address] = self._acted[address] = now
                threading.Thread(
                    target=self._keep_asking, args=(address,), name=f"reach-{address}", daemon=True
                ).start()
            return min(now, self._acted[address] + STALL_S) - self._answered[address]

    def _keep_asking(self, address: str) -> None:
        pause = threading.Event()
        while self._is_wanted(address):
            answered = False
            with contextlib.suppress(OSError):
                answered = self._ask(address, self._port)
            self._note(address, answered)
            pause.wait(INTERVAL_S)
            self._note(address, False)

    def _note(self, address: str, answered: bool) -> None:
        """Note that this process goes on, and whether the host has answered."""
        with self._lock:
            now = self._clock()
            stall = max(now - self._acted[address] - STALL_S, 0.0)
            self._acted[address] = now
            self._answered[address] = now if answered else self._answered[address] + stall

    def _is_wanted(self, address: str) -> bool:
        with self._lock:
            if self._clock() - self._wanted[address] < WANTED_S:
                return True
            del self._wanted[address]
            return False
