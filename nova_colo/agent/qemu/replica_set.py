# SPDX-License-Identifier: Apache-2.0
"""The replicas that this agent manages: their ports, records and processes, and the events of their QEMUs."""

import contextlib
import functools
import pathlib
import shutil
import threading
from collections.abc import Callable, Collection

import libvirt
from oslo_config import cfg

from nova_colo.agent.qemu.commits import Commits
from nova_colo.agent.qemu.peer_probe import PeerProbe
from nova_colo.agent.qemu.ports import Ports
from nova_colo.agent.qemu.process_watch import ProcessWatch
from nova_colo.agent.qemu.qmp import block
from nova_colo.agent.qemu.qmp.client import Event, GoneError, Hypervisor
from nova_colo.agent.qemu.replica import Replica
from nova_colo.agent.qemu.state_store import Record, StateStore
from nova_colo.hoststate import vifs
from nova_colo.hoststate.commits import CommitStore
from nova_colo.pair import hybrid
from nova_colo.pair.link_health import Thresholds


class ReplicaSet:
    """The replicas of this host by the ids of their servers.

    :param options: the section [qemu]
    :param state_path: folder of their records
    :param thresholds: when a replication link counts as slow or down
    """

    def __init__(self, options: cfg.ConfigOpts, state_path: str, thresholds: Thresholds):
        self._options = options
        self._thresholds = thresholds
        self._records = StateStore(state_path)
        self._peer_probe = PeerProbe(options.reach_port)
        self._lock = threading.Lock()
        self._replicas: dict[str, Replica] = {}
        self.ports = Ports(options.replication_address or "127.0.0.1", options.port_min, options.port_max)
        self.processes = ProcessWatch(self._on_end)
        self.hypervisor = Hypervisor(
            options.libvirt_uri, options.command_timeout, self._on_event, self._on_reconnect
        )
        self.commits = Commits(CommitStore(state_path), self.hypervisor, self.has_domain)
        #: Called as soon as a replica has lost its peer or its QEMU has ended.
        self.changed: Callable[[], None] = lambda: None

    def restore(self) -> list[Replica]:
        """Manage the replicas that an earlier agent process managed, and return them."""
        records = self._records.all()
        for record in records:
            self.ports.mark_taken(record.ports)
        return [self.add(record) for record in records]

    def add(self, record: Record) -> Replica:
        """Manage a new replica of a server in place of any earlier one."""
        uuid, options = record.server_id, self._options
        rule = hybrid.Rule(
            run=options.hybrid_run,
            first_wait_s=options.hybrid_wait,
            max_wait_s=max(options.hybrid_wait, options.hybrid_max_wait),
        )
        self.processes.unwatch(uuid)  # an earlier QEMU of the server may have ended
        replica = Replica(
            record,
            self.hypervisor.guest(uuid),
            self._peer_probe,
            functools.partial(self.has_qemu, uuid),
            functools.partial(self.processes.shut_down_connections, uuid),
            self._records.put,
            rule,
            self._thresholds,
        )
        with self._lock:
            self._replicas[uuid] = replica
        return replica

    def get(self, server_id: str) -> Replica | None:
        """Return a server's replica."""
        with self._lock:
            return self._replicas.get(server_id)

    def all(self) -> dict[str, Replica]:
        """Return all replicas by server."""
        with self._lock:
            return dict(self._replicas)

    def remove(self, server_id: str) -> None:
        """Stop managing a replica, and delete its record and its folder. No error when there is none."""
        with self._lock:
            replica = self._replicas.pop(server_id, None)
        if replica is not None:
            replica.close()
            self.ports.release(replica.record.ports)
        self.processes.unwatch(server_id)
        self._records.delete(server_id)
        shutil.rmtree(self.folder(server_id), ignore_errors=True)

    def destroy(self, server_id: str) -> None:
        """Destroy the QEMU on this host, and delete the files of a secondary that are not Nova's yet."""
        replica = self.get(server_id)
        if replica is not None:
            replica.cancelled.set()
        domain = self.hypervisor.domain(server_id)
        if domain is not None:
            with contextlib.suppress(libvirt.libvirtError):  # it has just ended
                domain.destroy()
        self.commits.drop(server_id)
        self.delete_state(server_id)

    def delete_state(self, server_id: str) -> None:
        """Delete the state of a replica whose QEMU has ended. A QEMU that was started since is Nova's."""
        replica = self.get(server_id)
        if replica is not None:
            replica.cancelled.set()
            self.commits.drop_deleted(server_id)
            if not self.commits.pending(server_id):
                block.remove_overlays(replica.record.disks)
            block.remove_files(replica.record.disks, replica.record.created_files)
            vifs.unplug(replica.record.vifs)
        self.remove(server_id)
        self.hypervisor.close_monitor(server_id)

    def folder(self, server_id: str) -> pathlib.Path:
        """Return the folder of the sockets that connect a primary's QEMU with itself."""
        return pathlib.Path(self._options.runtime_directory) / server_id

    def peer_age(self, address: str) -> float:
        """Return for how many seconds a peer's host has been silent."""
        return self._peer_probe.age(address)

    def has_qemu(self, server_id: str) -> bool | None:
        """Return whether a server's QEMU exists; None when libvirt does not answer."""
        return False if self.processes.has_ended(server_id) else self.has_domain(server_id)

    def has_domain(self, server_id: str) -> bool | None:
        """Return whether libvirt runs a QEMU of the server; None when libvirt does not answer."""
        try:
            return self.hypervisor.domain(server_id) is not None
        except GoneError:
            return None

    def ended(self, with_role: Collection[str]) -> list[str]:
        """Return the servers without a role whose replica is still managed though its QEMU has ended."""
        others = [server_id for server_id in self.all() if server_id not in with_role]
        # by libvirt: the process watch may not have covered this QEMU, and Nova may have started another
        return [server_id for server_id in others if self.has_domain(server_id) is False]

    def _on_end(self, server_id: str) -> None:
        replica = self.get(server_id)
        if replica is not None:
            replica.on_ended()
            self.changed()

    def _on_event(self, server_id: str, event: Event) -> None:
        replica = self.get(server_id)
        if replica is not None and replica.on_event(event):
            self.changed()

    def _on_reconnect(self) -> None:
        for replica in self.all().values():
            replica.on_reconnect()
