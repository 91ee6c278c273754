# SPDX-License-Identifier: Apache-2.0
"""The QEMU backend: COLO on a stock QEMU and libvirt, driven by QMP while the guest runs."""

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
from nova_colo.agent.qemu.process_watch import Processes
from nova_colo.agent.qemu.qmp import block, migration, netfilter
from nova_colo.agent.qemu.qmp.client import Event, GoneError, Hypervisor, SilentError, answers
from nova_colo.agent.qemu.replica import Replica
from nova_colo.agent.qemu.state_store import Record, Records, Stage
from nova_colo.agent.replication import PairSpec, ReplicationError, Report
from nova_colo.hoststate import vifs
from nova_colo.pair import hybrid, link_health, reasons
from nova_colo.pair.model import Mode
from nova_colo.pair.reasons import Reason

LOG = logging.getLogger(__name__)

#: Seconds between two looks at each QEMU, and between two at whether one cannot wait.
LOOK_S, GLANCE_S = 0.5, 0.1
#: Seconds between two looks at the host, and after which one that has not ended means that libvirtd is frozen.
HOST_LOOK_S, HOST_SILENT_S = 5.0, 20.0
#: Seconds after which a look at the host that has not ended, of a libvirtd that answers others, will never end.
HOST_LOST_S = 40.0
#: Seconds that a host may take to answer on the replication network before a pair is made with it, and while one is.
REACH_S, REACH_AGAIN_S = 3.0, 1.0
#: Seconds that the making of a pair may take to end when it is called off.
CALL_OFF_S = 8.0
#: Seconds that a primary may take to stand still for a planned failover.
STAND_S = 5.0


class QemuBackend:
    """Replicas of pairs on this host's QEMUs. See nova_colo.agent.replication.Backend for what its methods promise."""

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
        self._records = Records(conf.state_path)
        self._wiring = vifs.WiringStore(conf.state_path)
        vifs.prepare()
        self._hypervisor = Hypervisor(
            options.libvirt_uri, options.command_timeout, self._on_event, self._on_reconnect
        )
        self._reach = peer_probe.Reach(options.reach_port)
        self._ports = Ports(self._address or "127.0.0.1", options.port_min, options.port_max)
        self._processes = Processes(self._on_end)
        self._changed: Callable[[], None] = lambda: None
        self._replicas: dict[str, Replica] = {}
        self._lock = threading.Lock()
        self._making: dict[str, futures.Future[None]] = {}
        self._makers = futures.ThreadPoolExecutor(thread_name_prefix="protect")
        self._lookers = futures.ThreadPoolExecutor(32, thread_name_prefix="look")
        self._about: tuple[float, list[Reason], dict[str, str]] = (float("-inf"), [], {})
        self._looked = threading.Event()
        threading.Thread(target=self._keep_looking_at_host, name="host", daemon=True).start()
        threading.Thread(target=self._keep_watching_looks, name="watch", daemon=True).start()
        self._looked.wait(options.command_timeout)
        for record in self._records.all():
            self._take_up(record)
        threading.Thread(target=self._keep_looking, name="looks", daemon=True).start()

    def _take_up(self, record: Record) -> None:
        """Go on with a replica that was there before this agent was."""
        self._ports.keep(record.ports)
        replica = self._add(record)
        if record.primary and record.stage == Stage.STARTING:
            self._undo(replica, reasons.AGENT_RESTARTED())

    def _add(self, record: Record) -> Replica:
        uuid = record.server_id
        options = self._options
        rule = hybrid.Rule(
            run=options.hybrid_run,
            first_wait_s=options.hybrid_wait,
            max_wait_s=max(options.hybrid_wait, options.hybrid_max_wait),
        )
        is_there = functools.partial(self._is_there, uuid)
        self._processes.forget(uuid)  # one that has ended before is none of this replica's
        replica = Replica(
            record,
            self._hypervisor.guest(uuid),
            self._reach,
            is_there,
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

    def _drop(self, server_id: str) -> None:
        with self._lock:
            replica = self._replicas.pop(server_id, None)
        if replica is not None:
            replica.close()
            self._ports.give_back(replica.record.ports)
        self._processes.forget(server_id)
        self._records.forget(server_id)
        shutil.rmtree(self._folder(server_id), ignore_errors=True)

    # --- what is seen

    def watch(self, changed: Callable[[], None]) -> None:
        """Call something as soon as a replica has lost its twin, or its QEMU has ended."""
        self._changed = changed

    def _is_there(self, server_id: str) -> bool | None:
        return False if self._processes.has_ended(server_id) else self._is_known(server_id)

    def _is_known(self, server_id: str) -> bool | None:
        """Return whether libvirt says that there is a QEMU; None when it says nothing."""
        try:
            return self._hypervisor.domain(server_id) is not None
        except GoneError:
            return None

    def _on_end(self, server_id: str) -> None:
        replica = self._replica(server_id)
        if replica is not None:
            replica.ended()
            self._changed()

    def _on_event(self, server_id: str, event: Event) -> None:
        replica = self._replica(server_id)
        if replica is not None:
            replica.heard(event)
            if event.name == "COLO_EXIT":
                self._changed()

    def _on_reconnect(self) -> None:
        with self._lock:
            replicas = list(self._replicas.values())
        for replica in replicas:
            replica.reconnected()

    def _keep_looking(self) -> None:
        pause = threading.Event()
        looking: dict[str, futures.Future[None]] = {}
        look_at, hurried = 0.0, set[str]()  # those that were looked at before their time
        while True:
            with self._lock:
                replicas = dict(self._replicas)
            is_due = time.monotonic() >= look_at
            if is_due:
                look_at = time.monotonic() + LOOK_S
                hurried.clear()
            for server_id, replica in replicas.items():
                hurries = not is_due and server_id not in hurried and replica.is_cut_off()
                if (is_due or hurries) and (server_id not in looking or looking[server_id].done()):
                    looking[server_id] = self._lookers.submit(self._look, replica)
                    if hurries:
                        hurried.add(server_id)
            pause.wait(GLANCE_S)

    def _look(self, replica: Replica) -> None:
        server_id = replica.record.server_id
        try:
            if self._processes.has_ended(server_id) and self._is_known(server_id) is False:
                self._processes.forget(server_id)  # libvirt knows it now, and knows of the next one
            if replica.look():
                self._changed()
            with contextlib.suppress(ReplicationError):  # it is not there, or does not answer
                self._processes.watch(server_id, replica.guest)
            if self._replica(server_id) is not replica:
                self._processes.forget(
                    server_id
                )  # dropped meanwhile: the end of this QEMU says nothing of the next one
            replica.fire_again()
        except Exception:
            LOG.exception("Server %s could not be looked at.", server_id)

    def report(self, server_id: str, peer: str | None) -> Report:
        """Tell how this host's replica does, as of the last look at it."""
        replica = self._replica(server_id)
        return replica.report(peer is not None) if replica else Report(bool(self._is_there(server_id)))

    def buckets(self, server_id: str, since: int) -> list[dict[str, Any]]:
        """Return the history of a primary's checkpoints."""
        replica = self._replica(server_id)
        return replica.ledger.closed(since, time.time()) if replica else []

    def lacks(self) -> list[Reason]:
        """Return what keeps this host from carrying replicas of pairs, as of the last look at it."""
        seen_at, lacking, _ = self._about
        if time.monotonic() - seen_at > HOST_SILENT_S:
            return [reasons.LIBVIRTD_STUCK(seconds=HOST_SILENT_S)]
        return lacking

    def versions(self) -> dict[str, str]:
        """Return the versions of QEMU and libvirt, as of the last look."""
        return self._about[2]

    def _keep_looking_at_host(self) -> None:
        """Ask libvirt and QEMU what this host has. Not in the heartbeat: a frozen libvirtd must not make its host look dead."""
        pause = threading.Event()
        while True:
            try:
                self._about = (time.monotonic(), self._find_lacks(), self._find_versions())
            except Exception:
                LOG.exception("This host could not be looked at.")
            self._looked.set()
            pause.wait(HOST_LOOK_S)

    def _keep_watching_looks(self) -> None:
        """End this process when a call of libvirt's never returns: nothing else ends such a call.

        A connection that is being made has no keep-alive yet, and is made in one place, so that all others wait for it, too. This
        process is started again at once, as after any death of it; guests and pairs go on meanwhile.
        """
        began, pause = time.monotonic(), threading.Event()
        while True:
            pause.wait(HOST_SILENT_S)
            seen_at = self._about[0]
            is_late = time.monotonic() - max(seen_at, began) > HOST_LOST_S
            if is_late and answers(self._options.libvirt_uri, HOST_SILENT_S) and self._about[0] == seen_at:
                LOG.critical(
                    "libvirtd answers, but not this process, for %g s. It ends, to be started again.",
                    HOST_LOST_S,
                )
                os._exit(os.EX_UNAVAILABLE)

    def _find_lacks(self) -> list[Reason]:
        lacking = capabilities.lacks(capabilities.probe(), self._options.allow_unsuitable_versions)
        if not self._address:
            lacking.append(reasons.HOST_NO_ADDRESS())
        elif self._encrypted:
            lacking += tls.lacks(self._options.tls_x509_cert_dir, self._address)
        try:
            self._hypervisor.connection()
        except GoneError as error:
            lacking.append(reasons.LIBVIRTD_SILENT(text=error.reason.params["text"]))
        return lacking

    def _find_versions(self) -> dict[str, str]:
        found = {"qemu": capabilities.version(capabilities.probe())}
        with contextlib.suppress(GoneError, libvirt.libvirtError):
            number = self._hypervisor.connection().getLibVersion()
            found["libvirt"] = f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
        return found

    # --- making a pair

    def describe(self, spec: PairSpec) -> dict[str, Any]:
        """Say what a secondary must be like, and where the primary will listen for it. Nothing is done to the guest."""
        running = self._hypervisor.running(spec.server_id)
        guest = self._hypervisor.guest(spec.server_id)
        all_disks, nics = domain_xml.disks(running), domain_xml.nics(running)
        replica = self._replica(spec.server_id)
        if replica is None:
            replica = self._add(Record(spec.server_id, True, Stage.OFFERED, []))
        wanted = 2 * len(nics)
        if len(replica.record.ports) != wanted:
            self._ports.give_back(replica.record.ports)
            replica.save(ports=self._ports.take(wanted))
        paces = {"delay": self._options.checkpoint_delay, "interval": self._options.checkpoint_interval}
        address, ports = self._needed_address(), replica.record.ports
        ending = dataclasses.asdict(fencing.make(address, ports[0])) if ports else None
        paths = [disk.path for disk in all_disks]
        replica.save(primary=True, stage=Stage.OFFERED, error=None, disks=paths, paces=paces, fence=ending)
        self.settle(spec.server_id)
        sizes, xml = zip(all_disks, block.sizes(guest, all_disks), strict=True), domain_xml.xml_of(running)
        return {
            "xml": xml,
            "media": read_only_media.read(domain_xml.media_files(xml)),
            "disks": [{"path": disk.path, "format": disk.format, "size": size} for disk, size in sizes],
            "address": address,
            "ports": _pairs(ports),
            "fence": ending,
            "encrypted": self._encrypted,
            "wiring": self._wiring.get(spec.server_id),
            "paces": paces,
        }

    def _needed_address(self) -> str:
        if not self._address:
            raise ReplicationError(reasons.NO_REPLICATION_ADDRESS(host=self._host))
        return self._address

    def prepare_secondary(self, spec: PairSpec, primary: dict[str, Any]) -> dict[str, Any]:
        """Start a QEMU that waits for the primary. One that was left over is ended before."""
        if primary["encrypted"] != self._encrypted:
            raise ReplicationError(
                reasons.ENCRYPTION_DIFFERS(host=spec.primary_host, other=spec.secondary_host)
            )
        address = self._needed_address()
        self.discard(spec.server_id)
        if self._is_there(spec.server_id):
            raise ReplicationError(reasons.QEMU_DOES_NOT_END(server=spec.server_id, host=self._host))
        ports = self._ports.take(2)
        replica = self._add(
            Record(spec.server_id, False, Stage.STARTING, ports, primary["address"], paces=primary["paces"])
        )
        replica.save(fence=primary["fence"], **replica.record.pace(spec.mode, spec.interval_ms))
        try:
            for path in secondary.make_files(primary):
                replica.save(made=[*replica.record.made, path])
            replica.save(wiring=primary["wiring"])
            self._plug(replica)
            made = secondary.start(self._hypervisor, primary, self._host)
            self._load_certificates(replica)
            listening = self._listening(primary["address"], primary["ports"])
            exports, memory = (Endpoint(address, port, self._encrypted) for port in ports)
            replica.save(disks=secondary.prepare(replica.guest, made, listening, exports, memory))
            if replica.record.buffered:
                netfilter.buffer_output(replica.guest, domain_xml.nics(made), True)
        except Exception:
            self.discard(spec.server_id)
            raise
        return {"address": address, "disks_port": ports[0], "memory_port": ports[1]}

    def _plug(self, replica: Replica) -> None:
        try:
            vifs.plug(replica.record.wiring)
        except vifs.WiringError as error:
            raise ReplicationError(reasons.VIFS_NOT_PLUGGED(host=self._host, text=str(error))) from error

    def start(self, spec: PairSpec, secondary: dict[str, Any]) -> None:
        """Begin to protect the guest that runs here; report() tells how far it is, and what has gone wrong."""
        running = self._hypervisor.running(spec.server_id)
        replica = self._replica(spec.server_id)
        if replica is None:
            raise ReplicationError(reasons.NOT_DESCRIBED(host=self._host, server=spec.server_id))
        if replica.record.stage in (Stage.STARTING, Stage.IN_STEP):
            return
        pace = replica.record.pace(spec.mode, spec.interval_ms)
        replica.save(stage=Stage.STARTING, error=None, peer=secondary["address"], **pace)
        replica.count_from(spec.totals)
        replica.called_off.clear()
        self._making[spec.server_id] = self._makers.submit(self._make, replica, running, secondary)

    def _make(self, replica: Replica, running: libvirt.virDomain, offer: dict[str, Any]) -> None:
        server_id = replica.record.server_id
        try:
            plan = primary.Plan(
                disks=domain_xml.disks(running),
                nics=domain_xml.nics(running),
                listening=self._listening(self._needed_address(), _pairs(replica.record.ports)),
                exports=Endpoint(offer["address"], offer["disks_port"], self._encrypted),
                memory=Endpoint(offer["address"], offer["memory_port"], self._encrypted),
                folder=self._make_folder(server_id),
                max_bandwidth=self._options.max_bandwidth,
                patience=self._options.memory_timeout,
            )
            self._check_reached(offer["address"], REACH_S)
            self._load_certificates(replica)
            replica.in_step(primary.protect(replica, plan, functools.partial(self._check_making, replica)))
            LOG.info("Server %s runs in step with its secondary.", server_id)
        except Exception as error:
            LOG.exception("Server %s could not be protected.", server_id)
            self._undo(
                replica,
                error.reason if isinstance(error, ReplicationError) else reasons.AGENT_INTERNAL_ERROR(),
            )

    def _check_making(self, replica: Replica) -> None:
        """Refuse to go on with a pair that is not wanted any more, or whose secondary's host does not answer."""
        if replica.called_off.is_set():
            raise ReplicationError(reasons.CREATION_CANCELLED())
        address = replica.record.peer or ""
        if self._reach.age(address) > self._thresholds.silent_s:
            self._check_reached(address, REACH_AGAIN_S)

    def _check_reached(self, address: str, patience: float) -> None:
        if not peer_probe.answers(address, self._options.reach_port, patience):
            raise ReplicationError(reasons.NO_REPLICATION_NETWORK())

    def _undo(self, replica: Replica, error: Reason) -> None:
        """Let the guest run as before, and keep the first error."""
        try:
            primary.part(replica)
        except ReplicationError as second:
            LOG.error("Server %s: %s", replica.record.server_id, second)
        replica.parted(reasons.AGENT_REFUSED(host=self._host, error=error))

    def _load_certificates(self, replica: Replica) -> None:
        if self._encrypted:
            tls.load(replica.guest, self._options.tls_x509_cert_dir)

    def _listening(self, address: str, ports: Iterable[Sequence[int]]) -> netfilter.Listening:
        at = functools.partial(Endpoint, address, encrypted=self._encrypted)
        return [(at(mirror), at(answers)) for mirror, answers in ports]

    def _make_folder(self, server_id: str) -> str:
        """Make the folder of the sockets with which a primary's QEMU talks to itself; nobody else may use them."""
        path = self._folder(server_id)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = domain_xml.owner(self._hypervisor.running(server_id))
        if owner is not None:
            shutil.chown(path, *owner)
        return str(path)

    def _folder(self, server_id: str) -> pathlib.Path:
        return pathlib.Path(self._options.runtime_directory) / server_id

    def set_mode(self, server_id: str, mode: str, interval_ms: int | None, actual: str | None = None) -> None:
        """Change how a live pair synchronises. A secondary's answers go nowhere in mode checkpoint."""
        replica = self._replica(server_id)
        if replica is None:
            return
        pace = replica.record.pace(mode, interval_ms, actual)
        if replica.record.primary:
            replica.pace(**pace)
            migration.set_delay(replica.guest, pace["delay_ms"])
        else:
            if pace["mode"] != replica.record.mode:
                nics = domain_xml.nics(self._hypervisor.running(server_id))
                netfilter.buffer_output(replica.guest, nics, pace["mode"] == Mode.CHECKPOINT)
            replica.save(**pace)

    # --- parting

    def pause(self, server_id: str) -> bool:
        """Let the primary stand still: its twin is about to run. One that cannot be asked is the twin's host to end."""
        replica, there = self._replica(server_id), self._is_there(server_id)
        if replica is None or not there:
            return there is False
        try:
            migration.stand_still(replica.guest, replica.record.delay_ms, STAND_S)
        except SilentError:
            LOG.warning("The QEMU of %s is frozen and cannot be stopped. Its twin's host ends it.", server_id)
            return False
        return True

    def promote(self, server_id: str, stopped: bool) -> float | None:
        """Let the secondary run, and the primary end that may run still."""
        replica = self._replica(server_id)
        if not self._is_there(server_id):
            raise ReplicationError(reasons.NO_SECONDARY_HERE(server=server_id, host=self._host))
        if replica is None or replica.record.stage == Stage.PARTED:
            return None
        if replica.record.stage != Stage.IN_STEP and not migration.is_in_colo(replica.guest):
            raise ReplicationError(reasons.NEVER_IN_SYNC(server=server_id, host=self._host))
        gap_ms = secondary.promote(replica.guest, None if stopped else replica.fire)
        replica.save(primary=True, fence=None)
        replica.parted()
        return gap_ms

    def settle(self, server_id: str) -> None:
        """Leave files and network cards of a secondary that was promoted to Nova."""
        replica = self._replica(server_id)
        if replica is not None:
            replica.save(made=[], wiring=None)

    def run_alone(self, server_id: str) -> None:
        """Let the primary run without its twin."""
        replica = self._replica(server_id)
        if not self._is_there(server_id):
            raise ReplicationError(reasons.GUEST_NOT_RUNNING(server=server_id, host=self._host))
        if replica is not None:
            self._call_off(replica)
            primary.part(replica)
            replica.parted()

    def _call_off(self, replica: Replica) -> None:
        replica.called_off.set()
        making = self._making.pop(replica.record.server_id, None)
        if making is not None and not futures.wait([making], CALL_OFF_S).done:
            raise ReplicationError(reasons.CREATION_ENDING())

    def release(self, server_id: str) -> None:
        """Let the primary run without its twin, and leave nothing of the pair in its QEMU."""
        replica = self._replica(server_id)
        if replica is None:
            return
        if replica.record.stage != Stage.OFFERED and self._is_there(server_id):
            self.run_alone(server_id)
            primary.leave_no_trace(replica, domain_xml.disks(self._hypervisor.running(server_id)))
        self._drop(server_id)

    def discard(self, server_id: str) -> None:
        """End the QEMU here, and remove what was made for a secondary, unless Nova has it by now."""
        replica = self._replica(server_id)
        if replica is not None:
            replica.called_off.set()
        running = self._hypervisor.domain(server_id)
        if running is not None:
            with contextlib.suppress(libvirt.libvirtError):  # it has just ended by itself
                running.destroy()
        self.forget(server_id)

    def forget(self, server_id: str) -> None:
        """Remove what a replica had whose QEMU has ended. One that runs by now is Nova's."""
        replica = self._replica(server_id)
        if replica is not None:
            replica.called_off.set()
            block.remove_files(replica.record.disks, replica.record.made)
            vifs.unplug(replica.record.wiring)
        self._drop(server_id)
        self._hypervisor.forget(server_id)

    def without_role(self, known: Collection[str]) -> list[str]:
        """Return the servers that have a replica whose QEMU has ended, without those that are known to have a role here."""
        with self._lock:
            others = [server_id for server_id in self._replicas if server_id not in known]
        # as libvirt says it: the kernel's word is of a QEMU that was watched, and Nova may have started another since
        return [server_id for server_id in others if self._is_known(server_id) is False]


def _pairs(ports: list[int]) -> list[tuple[int, int]]:
    return list(zip(ports[::2], ports[1::2], strict=True))
