# SPDX-License-Identifier: Apache-2.0
"""Complete the disks of promoted secondaries: commit their overlays, and restore a plain block graph.

QEMU commits by itself, in a job that it does not show, while the guest runs. If the QEMU ends before that
job, the overlays are committed here.
"""

import os
import pathlib
import threading
import time
from collections.abc import Callable

from oslo_log import log as logging

from nova_colo.agent.qemu import domain_xml, privileged
from nova_colo.agent.qemu.primary import restore_graph
from nova_colo.agent.qemu.qmp import block, migration
from nova_colo.agent.qemu.qmp.client import Hypervisor
from nova_colo.hoststate.commits import CommitStore, DiskFile

LOG = logging.getLogger(__name__)

#: Seconds between two polls of the graph of a guest that was just promoted, and later. A QEMU that is killed
#: between the end of its commit and the next poll leaves overlays that are older than its disk.
INTERVAL_S, LATER_S = 0.02, 0.1
#: Seconds for which a commit is watched most closely.
CLOSELY_S = 10.0


class Commits:
    """The commits of this host.

    :param has_qemu: returns whether a server's QEMU exists; None when libvirt does not answer
    """

    def __init__(self, store: CommitStore, hypervisor: Hypervisor, has_qemu: Callable[[str], bool | None]):
        self._store = store
        self._hypervisor = hypervisor
        self._has_qemu = has_qemu
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._errors: dict[str, str] = {}

    def pending(self, server_id: str) -> bool:
        """Return whether a server's disk lacks data that its guest has written."""
        return bool(self._store.get(server_id))

    def all(self) -> list[str]:
        """Return the servers whose disks lack data."""
        return self._store.all()

    def drop(self, server_id: str) -> None:
        """Forget a replica that is destroyed."""
        self._store.delete(server_id)

    def drop_deleted(self, server_id: str) -> None:
        """Forget a server that was deleted with its disks."""
        if not any(pathlib.Path(file.path).exists() for file in self._store.get(server_id)):
            self.drop(server_id)

    def begin(self, server_id: str) -> None:
        """Record that a secondary is about to be promoted. QEMU then commits its overlays."""
        disks = domain_xml.disks(self._hypervisor.running(server_id))
        self._store.put(server_id, [DiskFile(disk.path, disk.format) for disk in disks])

    def watch(self, server_id: str) -> None:
        """Watch the commit of a secondary that was just promoted."""
        threading.Thread(target=self._watch, args=(server_id,), name="commit", daemon=True).start()

    def _watch(self, server_id: str) -> None:
        closely_until = time.monotonic() + CLOSELY_S
        while self.pending(server_id) and self._has_qemu(server_id):
            self.advance(server_id)
            time.sleep(INTERVAL_S if time.monotonic() < closely_until else LATER_S)

    def advance(self, server_id: str) -> None:
        """Complete the disks of a server if that is possible now. Errors are logged; a later call retries."""
        with self._lock:
            if server_id in self._busy:
                return
            self._busy.add(server_id)
        try:
            if self._complete(server_id):
                LOG.info("The disks of server %s are complete.", server_id)
                self._errors.pop(server_id, None)
        except Exception as error:
            if self._errors.get(server_id) != str(error):
                LOG.warning("The disks of server %s are not complete yet", server_id, exc_info=True)
                self._errors[server_id] = str(error)
        finally:
            with self._lock:
                self._busy.discard(server_id)

    def _complete(self, server_id: str) -> bool:
        files, has_qemu = self._store.get(server_id), self._has_qemu(server_id)
        if has_qemu is None or not files:
            return False
        completed = self._complete_running(server_id) if has_qemu else self._complete_ended(files)
        if completed:
            self._store.delete(server_id)
        return completed

    def _complete_running(self, server_id: str) -> bool:
        guest = self._hypervisor.guest(server_id)
        disks = domain_xml.disks(self._hypervisor.running(server_id))
        committed = [disk for disk in disks if block.is_committed(guest, [disk])]
        # at once: from now on the guest writes to these disks only
        block.remove_overlays(disk.path for disk in committed)
        if len(committed) < len(disks):
            return False
        restore_graph(guest, disks)
        if not migration.is_running(guest):  # interrupted earlier
            guest("cont")
        return True

    def _complete_ended(self, files: list[DiskFile]) -> bool:
        if not all(pathlib.Path(file.path).exists() for file in files):
            return False  # the server was deleted, or its file system is not mounted yet
        for file in files:
            _make_writable(file.path)
            block.commit_overlays(file.path, file.format)
        block.remove_overlays(file.path for file in files)
        return True


def _make_writable(disk: str) -> None:
    """Make a disk and its overlays the agent's, if it may not write to them."""
    for path in (disk, *block.overlay_paths(disk)):
        if pathlib.Path(path).exists() and not os.access(path, os.W_OK):
            privileged.reclaim(path)
