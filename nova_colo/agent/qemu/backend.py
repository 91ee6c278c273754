# SPDX-License-Identifier: Apache-2.0
"""The QEMU backend: COLO on a stock QEMU and libvirt, set up by QMP while the guest runs."""

import contextlib
import dataclasses
import functools
import os
import pathlib
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent import futures
from typing import Any

import libvirt
from oslo_config import cfg
from oslo_log import log as logging

from nova_colo.agent.qemu import (
    capabilities,
    domain_xml,
    fencing,
    peer_probe,
    primary,
    read_only_media,
    secondary,
    tls,
)
from nova_colo.agent.qemu.endpoint import Endpoint
from nova_colo.agent.qemu.ports import Ports
from nova_colo.agent.qemu.process_watch import ProcessWatch
from nova_colo.agent.qemu.qmp import block, migration, netfilter
from nova_colo.agent.qemu.qmp.client import Event, GoneError, Hypervisor, SilentError, libvirtd_answers
from nova_colo.agent.qemu.replica import Replica
from nova_colo.agent.qemu.state_store import Record, Stage, StateStore
from nova_colo.agent.replication import PairSpec, ReplicationError, Report
from nova_colo.hoststate import vifs
from nova_colo.pair import hybrid, link_health, reasons
from nova_colo.pair.model import Mode
from nova_colo.pair.reasons import Reason

LOG = logging.getLogger(__name__)

#: Seconds between two polls of each QEMU, and between two checks whether a peer's host became silent.
POLL_S, SILENCE_POLL_S = 0.5, 0.1
#: Seconds between two checks of the host, and after which libvirtd counts as frozen if a check has not ended.
HOST_CHECK_S, HOST_SILENT_S = 5.0, 20.0
#: Seconds after which a check of the host never ends if libvirtd answers other processes.
HOST_LOST_S = 40.0
#: Seconds that the peer's host may take to answer a probe before the pair is created, and meanwhile.
PROBE_S, REPROBE_S = 3.0, 1.0
#: Seconds that the creation of a pair may take to end after it was cancelled.
CANCEL_S = 8.0
#: Seconds that a primary may take to stop for a planned failover.
STOP_S = 5.0


class QemuBackend:
    """The replicas of this host, as QEMUs.

    See nova_colo.agent.replication.Backend for the contract of its methods.
    """

    name = "qemu"

    def __init__(self, conf: cfg.ConfigOpts):
        options = conf.qemu
        self._options = options
        self._host = conf.host
        self._address = options.replication_address
        self._encrypted = options.tls_x509_cert_dir is not None
        self._thresholds = link_health.Thresholds(
            silent_s=options.link_silent,
            pause_ms=options.pause_long,
            storm_per_min=options.mismatch_storm,
            late_s=options.checkpoint_late,
            stuck_s=options.checkpoint_stuck,
        )
        self._records = StateStore(conf.state_path)
        self._vif_store = vifs.VifStore(conf.state_path)
        vifs.prepare()
        self._hypervisor = Hypervisor(
            options.libvirt_uri, options.command_timeout, self._on_event, self._on_reconnect
        )
        self._peer_probe = peer_probe.PeerProbe(options.reach_port)
        self._ports = Ports(self._address or "127.0.0.1", options.port_min, options.port_max)
        self._processes = ProcessWatch(self._on_end)
        self._changed: Callable[[], None] = lambda: None
        self._replicas: dict[str, Replica] = {}
        self._lock = threading.Lock()
        self._protecting: dict[str, futures.Future[None]] = {}
        self._protect_pool = futures.ThreadPoolExecutor(thread_name_prefix="protect")
        self._pollers = futures.ThreadPoolExecutor(32, thread_name_prefix="poll")
        self._host_info: tuple[float, list[Reason], dict[str, str]] = (float("-inf"), [], {})
        self._host_checked = threading.Event()
        threading.Thread(target=self._check_host_loop, name="host", daemon=True).start()
        threading.Thread(target=self._watchdog_loop, name="watch", daemon=True).start()
        self._host_checked.wait(options.command_timeout)
        for record in self._records.all():
            self._resume(record)
        threading.Thread(target=self._poll_loop, name="poll", daemon=True).start()

    def _resume(self, record: Record) -> None:
        """Manage a replica that an earlier agent process managed."""
        self._ports.mark_taken(record.ports)
        replica = self._add(record)
        if record.primary and record.stage == Stage.STARTING:
            self._roll_back(replica, reasons.AGENT_RESTARTED())

    def _add(self, record: Record) -> Replica:
        uuid = record.server_id
        options = self._options
        rule = hybrid.Rule(
            run=options.hybrid_run,
            first_wait_s=options.hybrid_wait,
            max_wait_s=max(options.hybrid_wait, options.hybrid_max_wait),
        )
        has_qemu = functools.partial(self._has_qemu, uuid)
        self._processes.unwatch(uuid)  # an earlier QEMU of the server may have ended
        replica = Replica(
            record,
            self._hypervisor.guest(uuid),
            self._peer_probe,
            has_qemu,
            self._records.put,
            rule,
            self._thresholds,
        )
        with self._lock:
            self._replicas[uuid] = replica
        return replica

    def _replica(self, server_id: str) -> Replica | None:
        with self._lock:
            return self._replicas.get(server_id)

    def _remove(self, server_id: str) -> None:
        with self._lock:
            replica = self._replicas.pop(server_id, None)
        if replica is not None:
            replica.close()
            self._ports.release(replica.record.ports)
        self._processes.unwatch(server_id)
        self._records.delete(server_id)
        shutil.rmtree(self._folder(server_id), ignore_errors=True)

    # --- events, polls and checks

    def watch(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` as soon as a replica has lost its peer or its QEMU has ended."""
        self._changed = changed

    def _has_qemu(self, server_id: str) -> bool | None:
        return False if self._processes.has_ended(server_id) else self._has_domain(server_id)

    def _has_domain(self, server_id: str) -> bool | None:
        """Return whether libvirt runs a QEMU of the server; None when libvirt does not answer."""
        try:
            return self._hypervisor.domain(server_id) is not None
        except GoneError:
            return None

    def _on_end(self, server_id: str) -> None:
        replica = self._replica(server_id)
        if replica is not None:
            replica.on_ended()
            self._changed()

    def _on_event(self, server_id: str, event: Event) -> None:
        replica = self._replica(server_id)
        if replica is not None:
            replica.on_event(event)
            if event.name == "COLO_EXIT":
                self._changed()

    def _on_reconnect(self) -> None:
        with self._lock:
            replicas = list(self._replicas.values())
        for replica in replicas:
            replica.on_reconnect()

    def _poll_loop(self) -> None:
        pause = threading.Event()
        polling: dict[str, futures.Future[None]] = {}
        poll_at, polled_early = 0.0, set[str]()  # server ids polled since the last regular poll
        while True:
            with self._lock:
                replicas = dict(self._replicas)
            is_due = time.monotonic() >= poll_at
            if is_due:
                poll_at = time.monotonic() + POLL_S
                polled_early.clear()
            for server_id, replica in replicas.items():
                polls_early = not is_due and server_id not in polled_early and replica.is_peer_silent()
                if (is_due or polls_early) and (server_id not in polling or polling[server_id].done()):
                    polling[server_id] = self._pollers.submit(self._poll, replica)
                    if polls_early:
                        polled_early.add(server_id)
            pause.wait(SILENCE_POLL_S)

    def _poll(self, replica: Replica) -> None:
        server_id = replica.record.server_id
        try:
            if self._processes.has_ended(server_id) and self._has_domain(server_id) is False:
                self._processes.unwatch(server_id)  # libvirt reports the next QEMU, too
            if replica.poll():
                self._changed()
            with contextlib.suppress(ReplicationError):  # QEMU is gone, or does not answer
                self._processes.watch(server_id, replica.guest)
            if self._replica(server_id) is not replica:
                # removed meanwhile: the end of this QEMU must not be taken for that of the next one
                self._processes.unwatch(server_id)
            replica.retrigger_fence()
        except Exception:
            LOG.exception("Failed to poll server %s", server_id)

    def report(self, server_id: str, peer: str | None) -> Report:
        """Return the state of this host's replica as of its last poll."""
        replica = self._replica(server_id)
        return replica.report(peer is not None) if replica else Report(bool(self._has_qemu(server_id)))

    def buckets(self, server_id: str, since: int) -> list[dict[str, Any]]:
        """Return the history of a primary's checkpoints."""
        replica = self._replica(server_id)
        return replica.ledger.closed(since, time.time()) if replica else []

    def unmet_requirements(self) -> list[Reason]:
        """Return this host's unmet requirements as of the last check."""
        checked_at, unmet, _ = self._host_info
        if time.monotonic() - checked_at > HOST_SILENT_S:
            return [reasons.LIBVIRTD_STUCK(seconds=HOST_SILENT_S)]
        return unmet

    def versions(self) -> dict[str, str]:
        """Return the versions of QEMU and libvirt as of the last check."""
        return self._host_info[2]

    def _check_host_loop(self) -> None:
        """Check periodically what libvirt and QEMU of this host support.

        This is not done in the heartbeat: a frozen libvirtd must not make its host look dead.
        """
        pause = threading.Event()
        while True:
            try:
                self._host_info = (time.monotonic(), self._find_unmet_requirements(), self._read_versions())
            except Exception:
                LOG.exception("Failed to check this host")
            self._host_checked.set()
            pause.wait(HOST_CHECK_S)

    def _watchdog_loop(self) -> None:
        """Exit when a call to libvirt never returns, since nothing else ends such a call.

        A connection that is being opened has no keep-alive yet, and all other threads wait for it, since it
        is opened in one place. The service manager restarts this process; guests and pairs are not affected.
        """
        began, pause = time.monotonic(), threading.Event()
        while True:
            pause.wait(HOST_SILENT_S)
            checked_at = self._host_info[0]
            is_late = time.monotonic() - max(checked_at, began) > HOST_LOST_S
            if (
                is_late
                and libvirtd_answers(self._options.libvirt_uri, HOST_SILENT_S)
                and self._host_info[0] == checked_at
            ):
                LOG.critical(
                    "libvirtd has not answered this process for %g s, but answers others. "
                    "Exiting to be restarted.",
                    HOST_LOST_S,
                )
                os._exit(os.EX_UNAVAILABLE)

    def _find_unmet_requirements(self) -> list[Reason]:
        unmet = capabilities.unmet_requirements(capabilities.probe(), self._options.allow_unsuitable_versions)
        if not self._address:
            unmet.append(reasons.HOST_NO_ADDRESS())
        elif self._encrypted:
            unmet += tls.unmet_requirements(self._options.tls_x509_cert_dir, self._address)
        try:
            self._hypervisor.connection()
        except GoneError as error:
            unmet.append(reasons.LIBVIRTD_SILENT(text=error.reason.params["text"]))
        return unmet

    def _read_versions(self) -> dict[str, str]:
        versions = {"qemu": capabilities.version(capabilities.probe())}
        with contextlib.suppress(GoneError, libvirt.libvirtError):
            number = self._hypervisor.connection().getLibVersion()
            versions["libvirt"] = f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
        return versions

    # --- creating a pair

    def describe(self, spec: PairSpec) -> dict[str, Any]:
        """Return the description of a primary, with the ports on which it will listen.

        The guest is not changed.
        """
        running = self._hypervisor.running(spec.server_id)
        guest = self._hypervisor.guest(spec.server_id)
        all_disks, nics = domain_xml.disks(running), domain_xml.nics(running)
        replica = self._replica(spec.server_id)
        if replica is None:
            replica = self._add(Record(spec.server_id, True, Stage.OFFERED, []))
        count = 2 * len(nics)
        if len(replica.record.ports) != count:
            self._ports.release(replica.record.ports)
            replica.save(ports=self._ports.take(count))
        paces = {"delay": self._options.checkpoint_delay, "interval": self._options.checkpoint_interval}
        address, ports = self._needed_address(), replica.record.ports
        fence = dataclasses.asdict(fencing.make(address, ports[0])) if ports else None
        paths = [disk.path for disk in all_disks]
        replica.save(primary=True, stage=Stage.OFFERED, error=None, disks=paths, paces=paces, fence=fence)
        self.finalize(spec.server_id)
        sizes, xml = zip(all_disks, block.sizes(guest, all_disks), strict=True), domain_xml.xml_of(running)
        return {
            "xml": xml,
            "media": read_only_media.read(domain_xml.media_files(xml)),
            "disks": [{"path": disk.path, "format": disk.format, "size": size} for disk, size in sizes],
            "address": address,
            "ports": _port_pairs(ports),
            "fence": fence,
            "encrypted": self._encrypted,
            "wiring": self._vif_store.get(spec.server_id),
            "paces": paces,
        }

    def _needed_address(self) -> str:
        if not self._address:
            raise ReplicationError(reasons.NO_REPLICATION_ADDRESS(host=self._host))
        return self._address

    def prepare_secondary(self, spec: PairSpec, primary: dict[str, Any]) -> dict[str, Any]:
        """Start a QEMU that waits for the primary. An orphaned one is destroyed first."""
        if primary["encrypted"] != self._encrypted:
            raise ReplicationError(
                reasons.ENCRYPTION_DIFFERS(host=spec.primary_host, other=spec.secondary_host)
            )
        address = self._needed_address()
        self.destroy(spec.server_id)
        if self._has_qemu(spec.server_id):
            raise ReplicationError(reasons.QEMU_DOES_NOT_END(server=spec.server_id, host=self._host))
        ports = self._ports.take(2)
        replica = self._add(
            Record(spec.server_id, False, Stage.STARTING, ports, primary["address"], paces=primary["paces"])
        )
        replica.save(fence=primary["fence"], **replica.record.parameters(spec.mode, spec.interval_ms))
        try:
            for path in secondary.make_files(primary):
                replica.save(made=[*replica.record.made, path])
            replica.save(wiring=primary["wiring"])
            self._plug(replica)
            domain = secondary.start(self._hypervisor, primary, self._host)
            self._load_certificates(replica)
            listening = self._listening(primary["address"], primary["ports"])
            exports, memory = (Endpoint(address, port, self._encrypted) for port in ports)
            replica.save(disks=secondary.prepare(replica.guest, domain, listening, exports, memory))
            if replica.record.buffered:
                netfilter.discard_replies(replica.guest, domain_xml.nics(domain), True)
        except Exception:
            self.destroy(spec.server_id)
            raise
        return {"address": address, "disks_port": ports[0], "memory_port": ports[1]}

    def _plug(self, replica: Replica) -> None:
        try:
            vifs.plug(replica.record.wiring)
        except vifs.VifPlugError as error:
            raise ReplicationError(reasons.VIFS_NOT_PLUGGED(host=self._host, text=str(error))) from error

    def start(self, spec: PairSpec, secondary: dict[str, Any]) -> None:
        """Start to protect the guest of a primary; report() returns the progress and the first error."""
        running = self._hypervisor.running(spec.server_id)
        replica = self._replica(spec.server_id)
        if replica is None:
            raise ReplicationError(reasons.NOT_DESCRIBED(host=self._host, server=spec.server_id))
        if replica.record.stage in (Stage.STARTING, Stage.IN_SYNC):
            return
        parameters = replica.record.parameters(spec.mode, spec.interval_ms)
        replica.save(stage=Stage.STARTING, error=None, peer=secondary["address"], **parameters)
        replica.count_from(spec.totals)
        replica.cancelled.clear()
        self._protecting[spec.server_id] = self._protect_pool.submit(
            self._protect, replica, running, secondary
        )

    def _protect(self, replica: Replica, running: libvirt.virDomain, offer: dict[str, Any]) -> None:
        server_id = replica.record.server_id
        try:
            plan = primary.Plan(
                disks=domain_xml.disks(running),
                nics=domain_xml.nics(running),
                listening=self._listening(self._needed_address(), _port_pairs(replica.record.ports)),
                exports=Endpoint(offer["address"], offer["disks_port"], self._encrypted),
                memory=Endpoint(offer["address"], offer["memory_port"], self._encrypted),
                folder=self._make_folder(server_id),
                max_bandwidth=self._options.max_bandwidth,
                timeout=self._options.memory_timeout,
            )
            self._check_peer_reachable(offer["address"], PROBE_S)
            self._load_certificates(replica)
            replica.on_in_sync(primary.protect(replica, plan, functools.partial(self._check_wanted, replica)))
            LOG.info("Server %s is in sync with its secondary.", server_id)
        except Exception as error:
            LOG.exception("Failed to protect server %s", server_id)
            self._roll_back(
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
        if self._peer_probe.age(address) > self._thresholds.silent_s:
            self._check_peer_reachable(address, REPROBE_S)

    def _check_peer_reachable(self, address: str, timeout: float) -> None:
        if not peer_probe.answers(address, self._options.reach_port, timeout):
            raise ReplicationError(reasons.NO_REPLICATION_NETWORK())

    def _roll_back(self, replica: Replica, error: Reason) -> None:
        """Resume the guest unprotected, and record the first error."""
        try:
            primary.disconnect(replica)
        except ReplicationError as second:
            LOG.error("Failed to roll back the protection of server %s: %s", replica.record.server_id, second)
        replica.on_disconnected(reasons.AGENT_REFUSED(host=self._host, error=error))

    def _load_certificates(self, replica: Replica) -> None:
        if self._encrypted:
            tls.load(replica.guest, self._options.tls_x509_cert_dir)

    def _listening(self, address: str, ports: Iterable[Sequence[int]]) -> netfilter.Listening:
        at = functools.partial(Endpoint, address, encrypted=self._encrypted)
        return [(at(mirror), at(replies)) for mirror, replies in ports]

    def _make_folder(self, server_id: str) -> str:
        """Create the folder, for QEMU only, of the sockets that connect a primary's QEMU with itself."""
        path = self._folder(server_id)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = domain_xml.owner(self._hypervisor.running(server_id))
        if owner is not None:
            shutil.chown(path, *owner)
        return str(path)

    def _folder(self, server_id: str) -> pathlib.Path:
        return pathlib.Path(self._options.runtime_directory) / server_id

    def set_mode(self, server_id: str, mode: str, interval_ms: int | None, actual: str | None = None) -> None:
        """Change the mode of a running pair. In mode checkpoint a secondary's replies are discarded."""
        replica = self._replica(server_id)
        if replica is None:
            return
        parameters = replica.record.parameters(mode, interval_ms, actual)
        if replica.record.primary:
            replica.set_parameters(**parameters)
            migration.set_delay(replica.guest, parameters["delay_ms"])
        else:
            if parameters["mode"] != replica.record.mode:
                nics = domain_xml.nics(self._hypervisor.running(server_id))
                netfilter.discard_replies(replica.guest, nics, parameters["mode"] == Mode.CHECKPOINT)
            replica.save(**parameters)

    # --- dissolving a pair

    def pause(self, server_id: str) -> bool:
        """Stop the primary before its peer is promoted.

        :returns: whether it is paused; a frozen one is fenced from the peer's host instead
        """
        replica, has_qemu = self._replica(server_id), self._has_qemu(server_id)
        if replica is None or not has_qemu:
            return has_qemu is False
        try:
            migration.stop_primary(replica.guest, replica.record.delay_ms, STOP_S)
        except SilentError:
            LOG.warning("The QEMU of server %s is frozen; its peer's host will fence it.", server_id)
            return False
        return True

    def promote(self, server_id: str, stopped: bool) -> float | None:
        """Resume the secondary without its primary, and fence a primary that may still run."""
        replica = self._replica(server_id)
        if not self._has_qemu(server_id):
            raise ReplicationError(reasons.NO_SECONDARY_HERE(server=server_id, host=self._host))
        if replica is None or replica.record.stage == Stage.DISCONNECTED:
            return None
        if replica.record.stage != Stage.IN_SYNC and not migration.is_in_colo(replica.guest):
            raise ReplicationError(reasons.NEVER_IN_SYNC(server=server_id, host=self._host))
        gap_ms = secondary.promote(replica.guest, None if stopped else replica.trigger_fence)
        replica.save(primary=True, fence=None)
        replica.on_disconnected()
        return gap_ms

    def finalize(self, server_id: str) -> None:
        """Hand the promoted replica's files and VIFs over to Nova."""
        replica = self._replica(server_id)
        if replica is not None:
            replica.save(made=[], wiring=None)

    def run_unprotected(self, server_id: str) -> None:
        """Run the primary unprotected."""
        replica = self._replica(server_id)
        if not self._has_qemu(server_id):
            raise ReplicationError(reasons.GUEST_NOT_RUNNING(server=server_id, host=self._host))
        if replica is not None:
            self._cancel(replica)
            primary.disconnect(replica)
            replica.on_disconnected()

    def _cancel(self, replica: Replica) -> None:
        replica.cancelled.set()
        protecting = self._protecting.pop(replica.record.server_id, None)
        if protecting is not None and not futures.wait([protecting], CANCEL_S).done:
            raise ReplicationError(reasons.CREATION_ENDING())

    def unprotect(self, server_id: str) -> None:
        """Run the primary unprotected, and remove all that the pair has added to its QEMU."""
        replica = self._replica(server_id)
        if replica is None:
            return
        if replica.record.stage != Stage.OFFERED and self._has_qemu(server_id):
            self.run_unprotected(server_id)
            primary.remove_quorums(replica, domain_xml.disks(self._hypervisor.running(server_id)))
        self._remove(server_id)

    def destroy(self, server_id: str) -> None:
        """Destroy the QEMU on this host, and delete the files of a secondary that are not Nova's yet."""
        replica = self._replica(server_id)
        if replica is not None:
            replica.cancelled.set()
        domain = self._hypervisor.domain(server_id)
        if domain is not None:
            with contextlib.suppress(libvirt.libvirtError):  # it has just ended
                domain.destroy()
        self.delete_state(server_id)

    def delete_state(self, server_id: str) -> None:
        """Delete the state of a replica whose QEMU has ended. A QEMU that was started since is Nova's."""
        replica = self._replica(server_id)
        if replica is not None:
            replica.cancelled.set()
            block.remove_files(replica.record.disks, replica.record.made)
            vifs.unplug(replica.record.wiring)
        self._remove(server_id)
        self._hypervisor.close_monitor(server_id)

    def ended(self, with_role: Collection[str]) -> list[str]:
        """Return the servers without a role whose replica is still managed though its QEMU has ended."""
        with self._lock:
            others = [server_id for server_id in self._replicas if server_id not in with_role]
        # by libvirt: the process watch may not have covered this QEMU, and Nova may have started another
        return [server_id for server_id in others if self._has_domain(server_id) is False]


def _port_pairs(ports: list[int]) -> list[tuple[int, int]]:
    return list(zip(ports[::2], ports[1::2], strict=True))
