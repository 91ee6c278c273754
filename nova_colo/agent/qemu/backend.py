# SPDX-License-Identifier: Apache-2.0
"""The QEMU backend: COLO on a stock QEMU and libvirt, set up by QMP while the guest runs."""

import dataclasses
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging

from nova_colo.agent.qemu import domain_xml, primary, secondary
from nova_colo.agent.qemu.disk_space import DiskSpace
from nova_colo.agent.qemu.host_monitor import HostMonitor
from nova_colo.agent.qemu.poller import Poller
from nova_colo.agent.qemu.protection import Protection
from nova_colo.agent.qemu.qmp import migration, netfilter
from nova_colo.agent.qemu.qmp.client import SilentError
from nova_colo.agent.qemu.replica_set import ReplicaSet
from nova_colo.agent.replication import PairSpec, ReplicationError, Report
from nova_colo.hoststate import vifs
from nova_colo.pair import link_health, reasons
from nova_colo.pair.model import Mode
from nova_colo.pair.reasons import Reason
from nova_colo.pair.replica_state import Stage

LOG = logging.getLogger(__name__)

#: Seconds that a primary may take to stop for a planned failover.
STOP_S = 5.0


class QemuBackend:
    """The replicas of this host, as QEMUs.

    See nova_colo.agent.replication.Backend for the contract of its methods.
    """

    name = "qemu"

    def __init__(self, conf: cfg.ConfigOpts):
        options = conf.qemu
        self._host = conf.host
        thresholds = link_health.Thresholds(
            silent_s=options.link_silent,
            pause_ms=options.pause_long,
            storm_per_min=options.mismatch_storm,
            late_s=options.checkpoint_late,
            stuck_s=options.checkpoint_stuck,
        )
        vifs.prepare()
        self._replicas = ReplicaSet(options, conf.state_path, thresholds)
        self._hypervisor = self._replicas.hypervisor
        self._vif_store = vifs.VifStore(conf.state_path)
        self._protection = Protection(conf.host, options, self._replicas, self._vif_store)
        self._host_monitor = HostMonitor(options, self._hypervisor)
        self._space = DiskSpace(conf.host, self._replicas, options.low_space)
        self._host_monitor.start()
        for replica in self._replicas.restore():
            if replica.record.primary and replica.record.stage == Stage.STARTING:
                self._protection.roll_back(replica, reasons.AGENT_RESTARTED())
        Poller(self._replicas).start()
        self._space.start()

    # --- state

    def watch(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` as soon as a replica has lost its peer or its QEMU has ended."""
        self._replicas.changed = changed

    def report(self, server_id: str, peer: str | None) -> Report:
        """Return the state of this host's replica as of its last poll."""
        replica = self._replicas.get(server_id)
        if replica is None:
            has_qemu = self._replicas.has_qemu(server_id)
            return Report(bool(has_qemu), silent=has_qemu is None)
        report = replica.report(peer is not None)
        if peer is not None:
            report.reasons.extend(self._warnings(server_id))
        return dataclasses.replace(report, committing=self._replicas.commits.pending(server_id))

    def _warnings(self, server_id: str) -> Iterator[Reason]:
        """Yield what will become a problem of a replica if nothing is done."""
        if low := self._space.problem(server_id):
            yield low
        if day := self._host_monitor.certificates_end():
            yield reasons.CERTIFICATE_ENDS(host=self._host, day=day.isoformat())

    def poll(self, server_id: str) -> None:
        """Ask the QEMU on this host, if there is one, for its state."""
        replica = self._replicas.get(server_id)
        if replica is not None and replica.poll():
            self._replicas.changed()

    def buckets(self, server_id: str, since: int) -> list[dict[str, Any]]:
        """Return the history of a primary's checkpoints."""
        replica = self._replicas.get(server_id)
        return replica.ledger.closed(since, time.time()) if replica else []

    def ended(self, with_role: Collection[str]) -> list[str]:
        """Return the servers without a role whose replica is still managed though its QEMU has ended."""
        return self._replicas.ended(with_role)

    def unmet_requirements(self) -> list[Reason]:
        """Return this host's unmet requirements as of the last check."""
        return self._host_monitor.unmet_requirements()

    def versions(self) -> dict[str, str]:
        """Return the versions of QEMU and libvirt as of the last check."""
        return self._host_monitor.versions()

    # --- creating a pair

    def describe(self, spec: PairSpec) -> dict[str, Any]:
        """Return the description of a primary, with the ports on which it will listen."""
        return self._protection.describe(spec)

    def prepare_secondary(self, spec: PairSpec, primary: dict[str, Any]) -> dict[str, Any]:
        """Start a QEMU that waits for the primary."""
        return self._protection.prepare_secondary(spec, primary)

    def start(self, spec: PairSpec, secondary: dict[str, Any]) -> None:
        """Start to protect the guest of a primary; report() returns the progress and the first error."""
        self._protection.start(spec, secondary)

    def set_mode(self, server_id: str, mode: str, interval_ms: int | None, actual: str | None = None) -> None:
        """Change the mode of a running pair. In mode checkpoint a secondary's replies are discarded."""
        replica = self._replicas.get(server_id)
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
        replica, has_qemu = self._replicas.get(server_id), self._replicas.has_qemu(server_id)
        if replica is None or not has_qemu:
            return has_qemu is False
        try:
            migration.stop_primary(replica.guest, replica.record.delay_ms, STOP_S)
        except SilentError:
            LOG.warning("The QEMU of server %s is frozen; its peer's host will fence it.", server_id)
            return False
        return True

    def check_promotable(self, server_id: str) -> None:
        """Check that a secondary on this host can be promoted now."""
        self._check_qemu(server_id, reasons.NO_SECONDARY_HERE(server=server_id, host=self._host))
        replica = self._replicas.get(server_id)
        if replica is None or replica.record.stage in (Stage.IN_SYNC, Stage.DISCONNECTED):
            return
        if not migration.is_in_colo(replica.guest):
            raise ReplicationError(reasons.NEVER_IN_SYNC(server=server_id, host=self._host))

    def promote(self, server_id: str, stopped: bool) -> float | None:
        """Resume the secondary without its primary, and fence a primary that may still run."""
        self.check_promotable(server_id)
        replica = self._replicas.get(server_id)
        if replica is None or replica.record.stage == Stage.DISCONNECTED:
            return None
        replica.peer.shut_down_connections()
        self._replicas.commits.begin(server_id)
        gap_ms = secondary.promote(replica.guest, None if stopped else replica.trigger_fence)
        self._replicas.commits.watch(server_id)
        replica.save(primary=True, fence=None)
        replica.on_disconnected()
        return gap_ms

    def finalize(self, server_id: str) -> None:
        """Hand the promoted replica's files and VIFs over to Nova."""
        replica = self._replicas.get(server_id)
        if replica is not None:
            # nova-compute may have failed before it plugged them: the next secondary needs the record
            self._vif_store.take_over(server_id, replica.record.vifs)
            replica.save(created_files=[], vifs=None)

    def run_unprotected(self, server_id: str) -> None:
        """Run the primary unprotected."""
        replica = self._replicas.get(server_id)
        self._check_qemu(server_id, reasons.GUEST_NOT_RUNNING(server=server_id, host=self._host))
        if replica is not None:
            self._protection.cancel(replica)
            primary.disconnect(replica)
            replica.on_disconnected()

    def _check_qemu(self, server_id: str, missing: Reason) -> None:
        """Check that a server's QEMU exists.

        :param missing: the reason if it does not exist
        :raises ReplicationError: when it does not, or libvirt does not answer (GoneError)
        """
        if self._replicas.processes.has_ended(server_id) or self._hypervisor.domain(server_id) is None:
            raise ReplicationError(missing)

    def unprotect(self, server_id: str) -> None:
        """Run the primary unprotected, and remove all that the pair has added to its QEMU."""
        replica = self._replicas.get(server_id)
        if replica is None:
            return
        # None, too: a record that is deleted while libvirt is away leaves a guest that waits for its peer
        if replica.record.stage != Stage.OFFERED and self._replicas.has_qemu(server_id) is not False:
            self.run_unprotected(server_id)
            disks = domain_xml.disks(self._hypervisor.running(server_id))
            primary.restore_graph(replica.guest, disks)
        self._replicas.remove(server_id)

    def destroy(self, server_id: str) -> None:
        """Destroy the QEMU on this host, and delete the files of a secondary that are not Nova's yet."""
        self._replicas.destroy(server_id)

    def delete_state(self, server_id: str) -> None:
        """Delete the state of a replica whose QEMU has ended. A QEMU that was started since is Nova's."""
        self._replicas.delete_state(server_id)
