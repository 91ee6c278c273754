# SPDX-License-Identifier: Apache-2.0
"""Probe whether peers' hosts answer on the replication network.

QEMU does not report a link that is cut or a peer that is frozen. The kernel of a live host refuses a
connection to a port where nobody listens, whether its agent and its QEMUs respond or not.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable

#: Seconds between two probes, and the timeout of each.
INTERVAL_S, TIMEOUT_S = 0.25, 0.5
#: Seconds without a probe after which this process counts as stalled, which proves nothing about the other
#: host.
STALL_S = 1.0
#: Seconds after the last query for which a host is still probed.
WANTED_S = 30.0


def answers(address: str, port: int, timeout: float = TIMEOUT_S) -> bool:
    """Return whether a host answers on the replication network.

    :param port: one that firewalls let through, whether somebody listens there or not
    :param timeout: seconds
    """
    try:
        socket.create_connection((address, port), timeout).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


class PeerProbe:
    """Probes the hosts of peers, in one thread per host, as long as their state is queried.

    :param port: the port to probe
    """

    def __init__(
        self,
        port: int,
        probe: Callable[[str, int], bool] = answers,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._port = port
        self._probe = probe
        self._clock = clock
        self._lock = threading.Lock()
        self._answered_at: dict[str, float] = {}
        self._active_at: dict[str, float] = {}
        self._wanted_at: dict[str, float] = {}

    def age(self, address: str) -> float:
        """Return for how many seconds a host has not answered.

        The first call starts the probes; until their first result the host counts as answering.
        """
        now = self._clock()
        with self._lock:
            new = address not in self._wanted_at
            self._wanted_at[address] = now
            if new:
                self._answered_at[address] = self._active_at[address] = now
                threading.Thread(
                    target=self._probe_loop, args=(address,), name=f"probe-{address}", daemon=True
                ).start()
            return min(now, self._active_at[address] + STALL_S) - self._answered_at[address]

    def _probe_loop(self, address: str) -> None:
        pause = threading.Event()
        while self._is_wanted(address):
            answered = False
            with contextlib.suppress(OSError):
                answered = self._probe(address, self._port)
            self._record(address, answered)
            pause.wait(INTERVAL_S)
            self._record(address, False)

    def _record(self, address: str, answered: bool) -> None:
        """Record the result of a probe, and that this process is not stalled."""
        with self._lock:
            now = self._clock()
            stall = max(now - self._active_at[address] - STALL_S, 0.0)
            self._active_at[address] = now
            self._answered_at[address] = now if answered else self._answered_at[address] + stall

    def _is_wanted(self, address: str) -> bool:
        with self._lock:
            if self._clock() - self._wanted_at[address] < WANTED_S:
                return True
            del self._wanted_at[address]
            return False
