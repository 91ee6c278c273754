# SPDX-License-Identifier: Apache-2.0
"""Block the egress of a primary that has lost its link, and announce a guest that runs unprotected."""

import contextlib
import threading
import time

from nova_colo.agent.qemu.qmp import netfilter
from nova_colo.agent.qemu.qmp.client import Guest
from nova_colo.agent.replication import ReplicationError

#: Seconds between two announcements of an unprotected guest. A former primary that was cut off may reply to
#: ARP requests for its address, since QEMU passes on what it cannot compare (colo-compare.c:packet_enqueue).
#: Switches then send the guest's packets there.
ANNOUNCE_S = 5.0


class Egress:
    """The egress of one guest."""

    def __init__(self, guest: Guest):
        self._guest = guest
        self._lock = threading.Lock()
        self._blocked: bool | None = None  # unknown for a QEMU that was started before this agent
        self._resumed = False  # since it was blocked
        self._announce_at = 0.0

    def on_resume(self) -> None:
        """Record that the guest was resumed, as at the end of each checkpoint."""
        self._resumed = True

    def block(self, wanted: bool, in_pair: bool) -> None:
        """Block egress of a primary without a link, until it is in sync again or runs unprotected.

        Replies that can be compared are held anyway. But the peer may have been promoted by now, and
        both would answer ARP. A link that is up again does not rule that out; a checkpoint does.

        :param in_pair: the primary has a peer, or waits for the decision about one that it has lost
        """
        with self._lock:
            if wanted == self._blocked or (wanted and not in_pair):
                return
            if not wanted and in_pair and not self._resumed:
                return
            # QEMU is gone, silent, or being changed: the next poll retries
            with contextlib.suppress(ReplicationError):
                self._resumed = self._resumed and not wanted
                netfilter.block_egress(self._guest, wanted)
                self._blocked = wanted

    def announce(self) -> None:
        """Announce the guest's addresses to the switches, unless that was done a moment ago.

        :raises ReplicationError: when QEMU refuses or does not answer
        """
        if time.monotonic() >= self._announce_at:
            self._announce_at = time.monotonic() + ANNOUNCE_S
            netfilter.announce(self._guest)
