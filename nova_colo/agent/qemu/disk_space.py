# SPDX-License-Identifier: Apache-2.0
"""Watch the free space of the file systems that hold the replicas' disks and overlays."""

import pathlib
import shutil
import threading

from oslo_log import log as logging

from nova_colo.agent.qemu.replica_set import ReplicaSet
from nova_colo.pair import reasons
from nova_colo.pair.reasons import Reason

LOG = logging.getLogger(__name__)

#: Seconds between two checks.
CHECK_S = 5.0
MB = 1024 * 1024


class DiskSpace:
    """Checks regularly, in a thread of its own: a file system that hangs delays nothing else.

    :param low_mb: megabytes below which the free space of a file system is low; 0 for never
    """

    def __init__(self, host: str, replicas: ReplicaSet, low_mb: int):
        self._host = host
        self._replicas = replicas
        self._low_mb = low_mb
        self._free_mb: dict[str, int] = {}

    def start(self) -> None:
        """Start to check."""
        threading.Thread(target=self._loop, name="space", daemon=True).start()

    def problem(self, server_id: str) -> Reason | None:
        """Return the problem of a replica as of the last check."""
        free_mb = self._free_mb.get(server_id)
        if free_mb is None or free_mb >= self._low_mb:
            return None
        return reasons.LOW_SPACE(host=self._host, megabytes=free_mb)

    def check(self) -> None:
        """Check the file systems of all replicas once."""
        free_mb = {}
        for server_id, replica in self._replicas.all().items():
            folders = {pathlib.Path(disk).parent for disk in replica.record.disks}
            try:
                free_mb[server_id] = min(shutil.disk_usage(folder).free // MB for folder in folders)
            except (OSError, ValueError):
                continue  # it is being removed, or has no disks
        self._free_mb = free_mb

    def _loop(self) -> None:
        pause = threading.Event()
        while True:
            try:
                self.check()
            except Exception:
                LOG.exception("Failed to check the free space of the replicas' disks.")
            pause.wait(CHECK_S)
