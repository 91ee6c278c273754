# SPDX-License-Identifier: Apache-2.0
"""Create pairs: the part of either host, and the way back to an unprotected guest when that fails."""

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from concurrent import futures
from typing import Any

import libvirt
from oslo_config import cfg
from oslo_log import log as logging

from nova_colo.agent.qemu import (
    admission,
    domain_xml,
    fencing,
    peer_probe,
    primary,
    read_only_media,
    secondary,
    shared_files,
    tls,
)
from nova_colo.agent.qemu.endpoint import Endpoint
from nova_colo.agent.qemu.qmp import block, migration, netfilter
from nova_colo.agent.qemu.replica import Replica
from nova_colo.agent.qemu.replica_set import ReplicaSet
from nova_colo.agent.qemu.state_store import Record
from nova_colo.agent.replication import PairSpec, ReplicationError
from nova_colo.hoststate import vifs
from nova_colo.pair import reasons
from nova_colo.pair.reasons import Reason
from nova_colo.pair.replica_state import Stage

LOG = logging.getLogger(__name__)

#: Seconds that the peer's host may take to answer a probe before the pair is created, and meanwhile.
PROBE_S, REPROBE_S = 3.0, 1.0
#: Seconds that the creation of a pair may take to end after it was cancelled.
CANCEL_S = 8.0


class Protection:
    """Creates pairs. The methods are those of :class:`nova_colo.agent.replication.Backend`.

    :param host: name of this host
    :param options: the section [qemu]
    """

    def __init__(self, host: str, options: cfg.ConfigOpts, replicas: ReplicaSet, vif_store: vifs.VifStore):
        self._host = host
        self._options = options
        self._replicas = replicas
        self._hypervisor = replicas.hypervisor
        self._vif_store = vif_store
        self._encrypted = options.tls_x509_cert_dir is not None
        self._running: dict[str, futures.Future[None]] = {}
        self._pool = futures.ThreadPoolExecutor(thread_name_prefix="protect")

    def describe(self, spec: PairSpec) -> dict[str, Any]:
        """Return the description of a primary, with the ports on which it will listen.

        The guest is not changed.
        """
        running = self._hypervisor.running(spec.server_id)
        guest = self._hypervisor.guest(spec.server_id)
        all_disks, nics = domain_xml.disks(running), domain_xml.nics(running)
        replica = self._replicas.get(spec.server_id)
        if replica is None:
            replica = self._replicas.add(Record(spec.server_id, True, Stage.OFFERED, []))
        count = 2 * len(nics)
        if len(replica.record.ports) != count:
            self._replicas.ports.release(replica.record.ports)
            replica.save(ports=self._replicas.ports.take(count))
        host_parameters = {
            "delay": self._options.checkpoint_delay,
            "interval": self._options.checkpoint_interval,
        }
        address, ports = self._needed_address(), replica.record.ports
        fence = dataclasses.asdict(fencing.make(address, ports[0])) if ports else None
        paths = [disk.path for disk in all_disks]
        replica.save(primary=True, stage=Stage.OFFERED, error=None, disks=paths, fence=fence)
        # what a promoted replica had is Nova's
        replica.save(host_parameters=host_parameters, created_files=[], vifs=None)
        sizes, xml = zip(all_disks, block.sizes(guest, all_disks), strict=True), domain_xml.xml_of(running)
        return {
            "xml": xml,
            "media": read_only_media.read(domain_xml.media_files(xml)),
            "disks": [{"path": disk.path, "format": disk.format, "size": size} for disk, size in sizes],
            "address": address,
            "ports": _port_pairs(ports),
            "fence": fence,
            "encrypted": self._encrypted,
            "tls_names": self._tls_names(),
            "wiring": self._vif_store.get(spec.server_id),
            "paces": host_parameters,
        }

    def _needed_address(self) -> str:
        if not self._options.replication_address:
            raise ReplicationError(reasons.NO_REPLICATION_ADDRESS(host=self._host))
        return self._options.replication_address

    def prepare_secondary(self, spec: PairSpec, primary: dict[str, Any]) -> dict[str, Any]:
        """Start a QEMU that waits for the primary. An orphaned one is destroyed first."""
        if primary["encrypted"] != self._encrypted:
            raise ReplicationError(
                reasons.ENCRYPTION_DIFFERS(host=spec.primary_host, other=spec.secondary_host)
            )
        if self._options.instances_path:
            admission.check(primary, spec.server_id, self._options.instances_path)
        address = self._needed_address()
        self._replicas.destroy(spec.server_id)
        if self._replicas.has_qemu(spec.server_id):
            raise ReplicationError(reasons.QEMU_DOES_NOT_END(server=spec.server_id, host=self._host))
        ports = self._replicas.ports.take(2)
        replica = self._replicas.add(
            Record(
                spec.server_id,
                False,
                Stage.STARTING,
                ports,
                primary["address"],
                host_parameters=primary["paces"],
            )
        )
        replica.save(fence=primary["fence"], **replica.record.parameters(spec.mode, spec.interval_ms))
        try:
            for path in secondary.make_files(primary):
                replica.save(created_files=[*replica.record.created_files, path])
            replica.save(vifs=primary["wiring"])
            self._plug(replica)
            domain = secondary.start(self._hypervisor, primary, self._host)
            names = primary.get("tls_names") or []
            self._load_certificates(replica, names)
            listening = self._listening(primary["address"], primary["ports"], names)
            exports, memory = (Endpoint(address, port, self._encrypted, bool(names)) for port in ports)
            disks = secondary.prepare(replica.guest, domain, listening, exports, memory, self._host)
            replica.save(disks=disks)
            if replica.record.buffered:
                netfilter.discard_replies(replica.guest, domain_xml.nics(domain), True)
        except Exception:
            self._replicas.destroy(spec.server_id)
            raise
        return {
            "address": address,
            "disks_port": ports[0],
            "memory_port": ports[1],
            "tls_names": self._tls_names(),
        }

    def _plug(self, replica: Replica) -> None:
        try:
            vifs.plug(replica.record.vifs)
        except vifs.VifPlugError as error:
            raise ReplicationError(reasons.VIFS_NOT_PLUGGED(host=self._host, text=str(error))) from error

    def start(self, spec: PairSpec, secondary: dict[str, Any]) -> None:
        """Start to protect the guest of a primary; report() returns the progress and the first error."""
        running = self._hypervisor.running(spec.server_id)
        replica = self._replicas.get(spec.server_id)
        if replica is None:
            raise ReplicationError(reasons.NOT_DESCRIBED(host=self._host, server=spec.server_id))
        if replica.record.stage in (Stage.STARTING, Stage.IN_SYNC):
            return
        parameters = replica.record.parameters(spec.mode, spec.interval_ms)
        peer_ports = [secondary["disks_port"], secondary["memory_port"]]
        replica.save(
            stage=Stage.STARTING, error=None, peer=secondary["address"], peer_ports=peer_ports, **parameters
        )
        replica.count_from(spec.totals)
        replica.cancelled.clear()
        self._running[spec.server_id] = self._pool.submit(self._protect, replica, running, secondary)

    def _protect(self, replica: Replica, running: libvirt.virDomain, offer: dict[str, Any]) -> None:
        server_id, names = replica.record.server_id, offer.get("tls_names") or []
        try:
            plan = primary.Plan(
                disks=domain_xml.disks(running),
                nics=domain_xml.nics(running),
                listening=self._listening(self._needed_address(), _port_pairs(replica.record.ports), names),
                exports=Endpoint(offer["address"], offer["disks_port"], self._encrypted),
                memory=Endpoint(offer["address"], offer["memory_port"], self._encrypted),
                folder=self._make_folder(server_id),
                limits=migration.Limits(
                    self._options.max_bandwidth,
                    self._options.max_downtime,
                    self._options.memory_timeout,
                    # a link that is lost is found before, and named as the cause
                    stall_s=max(migration.STALL_S, 2 * self._options.link_silent),
                ),
            )
            self._check_peer_reachable(offer["address"], PROBE_S)
            self._load_certificates(replica, names)
            replica.on_in_sync(primary.protect(replica, plan, functools.partial(self._check_wanted, replica)))
            LOG.info("Server %s is in sync with its secondary.", server_id)
        except Exception as error:
            LOG.exception("Failed to protect server %s", server_id)
            self.roll_back(
                replica,
                error.reason if isinstance(error, ReplicationError) else reasons.AGENT_INTERNAL_ERROR(),
            )

    def _check_wanted(self, replica: Replica) -> None:
        """Check that a pair that is being created is still wanted, and that its secondary's host answers.

        :raises ReplicationError: when the creation is to be aborted
        """
        if replica.cancelled.is_set():
            raise ReplicationError(reasons.CREATION_CANCELLED())
        address = replica.record.peer or ""
        if self._replicas.peer_age(address) > self._options.link_silent:
            self._check_peer_reachable(address, REPROBE_S)

    def _check_peer_reachable(self, address: str, timeout: float) -> None:
        if not peer_probe.answers(address, self._options.reach_port, timeout):
            raise ReplicationError(reasons.NO_REPLICATION_NETWORK())

    def roll_back(self, replica: Replica, error: Reason) -> None:
        """Resume the guest unprotected, and record the first error."""
        try:
            primary.disconnect(replica)
        except ReplicationError as second:
            LOG.error("Failed to roll back the protection of server %s: %s", replica.record.server_id, second)
        replica.on_disconnected(reasons.AGENT_REFUSED(host=self._host, error=error))

    def _tls_names(self) -> list[str]:
        """Return the forms of the name in this host's client certificate; empty without encryption."""
        return tls.names(self._options.tls_x509_cert_dir) if self._encrypted else []

    def _load_certificates(self, replica: Replica, peer: Sequence[str]) -> None:
        if self._encrypted:
            tls.load(replica.guest, self._options.tls_x509_cert_dir, peer)

    def _listening(
        self, address: str, ports: Iterable[Sequence[int]], peer: Sequence[str]
    ) -> netfilter.Listening:
        at = functools.partial(Endpoint, address, encrypted=self._encrypted, checked=bool(peer))
        return [(at(mirror), at(replies)) for mirror, replies in ports]

    def _make_folder(self, server_id: str) -> str:
        """Create the folder, for QEMU only, of the sockets that connect a primary's QEMU with itself."""
        path = self._replicas.folder(server_id)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        shared_files.share(path, self._hypervisor.running(server_id), self._host)
        return str(path)

    def cancel(self, replica: Replica) -> None:
        """Cancel the creation of a pair, and wait for its end.

        :raises ReplicationError: when it does not end in time
        """
        replica.cancelled.set()
        protecting = self._running.pop(replica.record.server_id, None)
        if protecting is not None and not futures.wait([protecting], CANCEL_S).done:
            raise ReplicationError(reasons.CREATION_ENDING())


def _port_pairs(ports: list[int]) -> list[tuple[int, int]]:
    return list(zip(ports[::2], ports[1::2], strict=True))
