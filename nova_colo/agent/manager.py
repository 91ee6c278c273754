# SPDX-License-Identifier: Apache-2.0
"""RPC methods of an agent, called by engines.

Every method may be repeated. A role is written before QEMU is changed wherever a crash in between would leave
a guest that Nova takes for its own.
"""

import dataclasses
import re
import threading
from typing import Any

import oslo_messaging as messaging
from oslo_log import log as logging

from nova_colo import rpc, version
from nova_colo.agent.replication import Backend, PairSpec, ReplicationError
from nova_colo.hoststate.roles import RoleRecord, RoleStore
from nova_colo.pair import reasons
from nova_colo.pair.model import Role

LOG = logging.getLogger(__name__)

#: The form of ids in which Nova shows them.
SERVER_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class AgentManager:
    """The agent's RPC endpoint."""

    target = messaging.Target(version=rpc.VERSION)

    def __init__(self, host_name: str, backend: Backend, roles: RoleStore):
        self._host = host_name
        self._backend = backend
        self._roles = roles
        # one per server: a slow QEMU must delay neither other servers nor the heartbeat
        self._locks: dict[str, threading.RLock] = {}

    def report(self) -> dict[str, Any]:
        """Return the report for a heartbeat: this host's capabilities and the state of its replicas."""
        roles = self._roles.all()
        return {
            "backend": self._backend.name,
            "version": version.release(),
            "versions": self._backend.versions(),
            "reasons": [reason.data() for reason in self._backend.unmet_requirements()],
            "servers": {record.server_id: self._replica(record) for record in roles},
        }

    def delete_ended(self) -> None:
        """Delete the state of replicas that Nova has ended: the compute driver has deleted their roles."""
        for server_id in self._backend.ended({record.server_id for record in self._roles.all()}):
            lock = self._lock(server_id)
            if lock.acquire(blocking=False):  # otherwise another method is working on it
                try:
                    if self._roles.get(server_id) is None:
                        self._backend.delete_state(server_id)
                finally:
                    lock.release()

    def checkpoint_buckets(self, ctxt: dict[str, Any], since: int) -> dict[str, list[dict[str, Any]]]:
        """Return the checkpoint history of this host's primaries, by server.

        :param since: seconds since the epoch: only intervals that begin then or later
        """
        primaries = [record.server_id for record in self._roles.all() if record.role == Role.PRIMARY]
        return {server_id: self._backend.buckets(server_id, since) for server_id in primaries}

    def set_mode(
        self,
        ctxt: dict[str, Any],
        server_id: str,
        mode: str,
        interval_ms: int | None,
        actual: str | None = None,
    ) -> None:
        """Change the replication mode of a server's pair. See Backend.set_mode."""
        with self._lock(server_id):
            if self._roles.get(server_id) is None:
                raise ReplicationError(reasons.NO_REPLICA(host=self._host, server=server_id))
            self._backend.set_mode(server_id, mode, interval_ms, actual)

    def _lock(self, server_id: str) -> threading.RLock:
        """Return the lock of a server.

        :raises ReplicationError: when the id is none: it becomes part of paths
        """
        if not SERVER_ID.fullmatch(server_id):
            raise ReplicationError(reasons.NO_SERVER_ID(server=server_id))
        return self._locks.setdefault(server_id, threading.RLock())

    def _replica(self, record: RoleRecord) -> dict[str, Any]:
        report = dataclasses.asdict(self._backend.report(record.server_id, record.peer))
        return {"role": record.role, "epoch": record.epoch, **report}

    def status(self, ctxt: dict[str, Any], server_id: str) -> dict[str, Any] | None:
        """Return the state of this host's replica of a pair, as in the heartbeat; None when it has none."""
        with self._lock(server_id):
            record = self._roles.get(server_id)
            return self._replica(record) if record else None

    def live_status(self, ctxt: dict[str, Any], server_id: str) -> dict[str, Any] | None:
        """Return the same after the replica's QEMU was asked."""
        self._backend.poll(server_id)
        return self.status(ctxt, server_id)

    def describe(self, ctxt: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
        """Return the description of a primary on this host, from which its secondary is created."""
        pair = PairSpec(**spec)
        with self._lock(pair.server_id):
            self._check_epoch(pair.server_id, pair.epoch, Role.PRIMARY)
            return self._backend.describe(pair)

    def prepare_secondary(
        self, ctxt: dict[str, Any], spec: dict[str, Any], primary: dict[str, Any]
    ) -> dict[str, Any]:
        """Create a secondary that waits for its primary.

        :param primary: the description of the primary, as ``describe`` returned it on its host
        :returns: the description of the secondary, for ``start_replication``
        """
        pair = PairSpec(**spec)
        with self._lock(pair.server_id):
            record = self._roles.get(pair.server_id)
            if record is not None and record.role in (Role.PRIMARY, Role.LEAVING, Role.PROMOTED):
                raise ReplicationError(
                    reasons.RUNS_ITSELF(host=self._host, server=pair.server_id, epoch=record.epoch)
                )
            report = self._backend.report(pair.server_id, None) if record is None else None
            if report is not None and (report.running or report.silent):
                # the guest is in no pair, or that is not known, and must not end
                raise ReplicationError(reasons.RUNS_OUTSIDE_PAIR(host=self._host, server=pair.server_id))
            if record is not None and record.role == Role.DEMOTED:
                self._backend.destroy(pair.server_id)
            self._roles.put(RoleRecord(pair.server_id, Role.SECONDARY, pair.epoch, pair.primary_host))
            return self._backend.prepare_secondary(pair, primary)

    def start_replication(
        self, ctxt: dict[str, Any], spec: dict[str, Any], secondary: dict[str, Any]
    ) -> None:
        """Start to protect the guest of a primary on this host.

        :param secondary: the description of the secondary, as ``prepare_secondary`` returned it on its host
        """
        pair = PairSpec(**spec)
        with self._lock(pair.server_id):
            self._check_epoch(pair.server_id, pair.epoch, Role.PRIMARY)
            self._backend.start(pair, secondary)
            self._roles.put(RoleRecord(pair.server_id, Role.PRIMARY, pair.epoch, pair.secondary_host))

    def demote(self, ctxt: dict[str, Any], server_id: str, epoch: int, expected: int | None = None) -> bool:
        """Pause the primary's guest for a failover to ``epoch``.

        :param expected: the epoch of which it must be the primary. It is not when Nova has restarted the
            guest outside its pair
        :returns: whether the guest is certain to be paused
        :raises ReplicationError: when it is not the primary of the expected epoch
        """
        with self._lock(server_id):
            record = self._roles.get(server_id)
            if record is not None and record.role == Role.LEAVING and record.peer is not None:
                record = dataclasses.replace(record, role=Role.PRIMARY)  # it is still in the pair
            is_paired = record is not None and (record.role, record.epoch) in (
                (Role.PRIMARY, expected),
                (Role.DEMOTED, epoch),
            )
            if record is None or (expected is not None and not is_paired):
                raise ReplicationError(
                    reasons.NOT_THE_PRIMARY(
                        host=self._host, server=server_id, epoch=epoch if expected is None else expected
                    )
                )
            self._check_epoch(server_id, epoch, Role.PRIMARY, Role.LEAVING, Role.DEMOTED)
            self._roles.put(RoleRecord(server_id, Role.DEMOTED, epoch))
            return self._backend.pause(server_id)

    def promote(
        self, ctxt: dict[str, Any], server_id: str, epoch: int, stopped: bool = False
    ) -> float | None:
        """Run the secondary unprotected, by the grant for ``epoch``.

        :param stopped: what ``demote`` returned on the primary's host
        :raises ReplicationError: when this host has no secondary for that epoch, or it has missed a write
        :returns: milliseconds for which neither replica ran; None when that is not known
        """
        with self._lock(server_id):
            record = self._roles.get(server_id)
            if record is not None and (record.role, record.epoch) == (Role.PRIMARY, epoch):
                return None
            if record is None or (record.role, record.epoch) not in (
                (Role.SECONDARY, epoch - 1),
                (Role.PROMOTED, epoch),
            ):
                raise ReplicationError(reasons.MAY_NOT_RESUME(host=self._host, server=server_id, epoch=epoch))
            report = self._backend.report(server_id, record.peer)
            if record.role == Role.SECONDARY:
                if not report.disks_equal:
                    raise ReplicationError(reasons.DISKS_DIFFER())
                # before the role is changed: so the engine knows that nothing was done
                self._backend.check_promotable(server_id)
            self._roles.put(RoleRecord(server_id, Role.PROMOTED, epoch))
            gap_ms = self._backend.promote(server_id, stopped)
        LOG.info("Promoted the secondary of server %s on host %s, epoch %d.", server_id, self._host, epoch)
        return gap_ms

    def run_alone(self, ctxt: dict[str, Any], server_id: str, epoch: int) -> None:
        """Run the primary unprotected, by the grant for ``epoch``."""
        with self._lock(server_id):
            self._check_epoch(server_id, epoch, Role.PRIMARY, Role.LEAVING, Role.DEMOTED)
            record = self._roles.get(server_id)
            if record is None:
                raise ReplicationError(reasons.NO_REPLICA(host=self._host, server=server_id))
            is_leaving = record.role == Role.LEAVING
            self._backend.run_unprotected(server_id)
            self._roles.put(RoleRecord(server_id, Role.LEAVING if is_leaving else Role.PRIMARY, epoch))

    def _check_epoch(self, server_id: str, epoch: int, *roles: Role) -> None:
        """Refuse an outdated request: this host has recorded a later epoch for the server, or another role.

        :raises ReplicationError: when the request is refused
        """
        record = self._roles.get(server_id)
        if record is not None and (record.epoch > epoch or record.role not in roles):
            actual = {"role": record.role, "epoch": record.epoch}
            raise ReplicationError(
                reasons.WRONG_EPOCH(host=self._host, server=server_id, wanted=epoch, **actual)
            )

    def settle(self, ctxt: dict[str, Any], server_id: str, epoch: int) -> None:
        """Finalize a failover to this host: Nova's records are updated."""
        with self._lock(server_id):
            record = self._roles.get(server_id)
            if record is not None and record.role == Role.PROMOTED:
                self._roles.put(RoleRecord(server_id, Role.PRIMARY, epoch))
            if record is not None and record.role in (Role.PROMOTED, Role.PRIMARY):
                self._backend.finalize(server_id)

    def release(
        self, ctxt: dict[str, Any], server_id: str, role: str | None = None, epoch: int | None = None
    ) -> None:
        """Unprotect the primary on this host. Its guest keeps running, or Nova stops it.

        :param role: do so only if the replica still has this role, or leaves the pair since, and this epoch;
            None for any
        :param epoch: see ``role``
        """
        with self._lock(server_id):
            record = self._roles.get(server_id)
            is_leaving = record is not None and record.role == Role.LEAVING
            wanted = Role.LEAVING if role == Role.PRIMARY and is_leaving else role
            if wanted is not None and not _is_still(record, wanted, epoch):
                return
            if record is None or is_leaving or record.role == Role.PRIMARY:
                self._backend.unprotect(server_id)
            if record is not None and is_leaving:
                # the compute driver waits for this, and deletes the role when Nova has finished
                self._roles.put(dataclasses.replace(record, peer=None))
            else:
                self._roles.delete(server_id)

    def discard(
        self, ctxt: dict[str, Any], server_id: str, role: str | None = None, epoch: int | None = None
    ) -> None:
        """Destroy this host's replica; no error when this host has none.

        :param role: destroy the replica only if it still has this role and epoch; None, from an engine of an
            earlier release, to destroy any
        :param epoch: see ``role``
        """
        with self._lock(server_id):
            record = self._roles.get(server_id)
            if record is None or (role is not None and not _is_still(record, role, epoch)):
                return
            self._backend.destroy(server_id)
            self._roles.delete(server_id)
        LOG.info("Destroyed the replica of server %s on host %s.", server_id, self._host)


def _is_still(record: RoleRecord | None, role: str, epoch: int | None) -> bool:
    """Return whether a host's role for a server is what it was when a request was decided."""
    return record is not None and (record.role, record.epoch) == (role, epoch)
