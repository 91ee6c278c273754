# SPDX-License-Identifier: Apache-2.0
"""Poll the QEMUs of this host's replicas: regularly, and at once when a peer's host has become silent."""

import contextlib
import threading
import time
from concurrent import futures

from oslo_log import log as logging

from nova_colo.agent.qemu.replica import Replica
from nova_colo.agent.qemu.replica_set import ReplicaSet
from nova_colo.agent.replication import ReplicationError

LOG = logging.getLogger(__name__)

#: Seconds between two polls of each QEMU, and between two checks whether a peer's host became silent.
POLL_S, SILENCE_POLL_S = 0.5, 0.1
#: Number of QEMUs that are polled at the same time. A frozen one occupies a thread until a command times out.
THREADS = 32
#: Number of states that are written at the same time.
WRITERS = 4


class Poller:
    """Polls all replicas of a set, each of them in one thread at a time."""

    def __init__(self, replicas: ReplicaSet):
        self._replicas = replicas
        self._pool = futures.ThreadPoolExecutor(THREADS, thread_name_prefix="poll")
        self._writers = futures.ThreadPoolExecutor(WRITERS, thread_name_prefix="write")

    def start(self) -> None:
        """Start to poll."""
        threading.Thread(target=self._loop, name="poll", daemon=True).start()

    def _loop(self) -> None:
        pause = threading.Event()
        polling: dict[str, futures.Future[None]] = {}
        writing: dict[str, futures.Future[None]] = {}
        poll_at, polled_early = 0.0, set[str]()  # server ids polled since the last regular poll
        while True:
            is_due = time.monotonic() >= poll_at
            if is_due:
                poll_at = time.monotonic() + POLL_S
                polled_early.clear()
                for server_id in self._replicas.commits.all():
                    self._pool.submit(self._replicas.commits.advance, server_id)
            for server_id, replica in self._replicas.all().items():
                polls_early = not is_due and server_id not in polled_early and replica.is_peer_silent()
                if (is_due or polls_early) and (server_id not in polling or polling[server_id].done()):
                    polling[server_id] = self._pool.submit(self.poll, replica)
                    if polls_early:
                        polled_early.add(server_id)
                if (
                    is_due
                    and replica.writer.pending
                    and (server_id not in writing or writing[server_id].done())
                ):
                    writing[server_id] = self._writers.submit(self._flush, replica)
            pause.wait(SILENCE_POLL_S)

    def _flush(self, replica: Replica) -> None:
        """Write a replica's record: not in its poll, which must not wait for the disk."""
        try:
            replica.writer.write()
        except Exception as error:
            LOG.warning(
                "Server %s: the state of its replica was not written: %s", replica.record.server_id, error
            )

    def poll(self, replica: Replica) -> None:
        """Poll one QEMU, watch its process, and repeat the fence of its former primary."""
        server_id, processes = replica.record.server_id, self._replicas.processes
        try:
            if processes.has_ended(server_id) and self._replicas.has_domain(server_id) is False:
                processes.unwatch(server_id)  # libvirt reports the next QEMU, too
            if replica.poll():
                self._replicas.changed()
            with contextlib.suppress(ReplicationError):  # QEMU is gone, or does not answer
                processes.watch(server_id, replica.guest)
            if self._replicas.get(server_id) is not replica:
                # removed meanwhile: the end of this QEMU must not be taken for that of the next one
                processes.unwatch(server_id)
            replica.retrigger_fence()
        except Exception:
            LOG.exception("Failed to poll server %s", server_id)
