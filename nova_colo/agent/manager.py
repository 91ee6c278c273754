# SPDX-License-Identifier: Apache-2.0
"""What engines can ask of an agent.

Every method may be repeated. Roles are written before QEMU is touched where a crash in between must not leave a guest that
Nova would mistake for its own.
"""

import dataclasses
import threading
from collections.abc import Collection
from typing import Any

import oslo_messaging as messaging
from oslo_log import log as logging

from nova_colo import rpc, version
from nova_colo.agent.replication import Backend, PairSpec, ReplicationError
from nova_colo.hoststate.roles import RoleRecord, RoleStore
from nova_colo.pair import reasons
from nova_colo.pair.model import Role

LOG = logging.getLogger(__name__)


class AgentManager:
    """The agent's RPC endpoint."""

    target = messaging.Target(version=rpc.VERSION)

    def __init__(self, host_name: str, backend: Backend, roles: RoleStore):
        self._host = host_name
        self._backend = backend
        self._roles = roles
        # one for each server that was ever asked about: a slow QEMU must not delay the others, nor the heartbeat
        self._locks: dict[str, threading.RLock] = {}

    def report(self) -> dict[str, Any]:
        """Return the heartbeat: what runs here and how it does."""
        roles = self._roles.all()
        self._forget_ended({record.server_id for record in roles})
        return {
            "backend": self._backend.name,
            "version": version.release(),
            "versions": self._backend.versions(),
            "reasons": [reason.data() for reason in self._backend.lacks()],
            "servers": {record.server_id: self._replica(record) for record in roles},
        }

    def _forget_ended(self, known: Collection[str]) -> None:
        """Forget replicas that Nova has ended: the compute driver has removed their roles."""
        for server_id in self._backend.without_role(known):
            lock = self._lock(server_id)
            if lock.acquire(blocking=False):  # else something is being done about it
                try:
                    if self._roles.get(server_id) is None:
                        self._backend.forget(server_id)
                finally:
                    lock.release()

    def checkpoint_buckets(self, ctxt: dict[str, Any], since: int) -> dict[str, list[dict[str, Any]]]:
        """Return the history of checkpoints of the primaries here, by server.

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
        """Change how the pair of a server synchronises. See Backend.set_mode."""
        with self._lock(server_id):
            if self._roles.get(server_id) is None:
                raise ReplicationError(reasons.NO_REPLICA(host=self._host, server=server_id))
            self._backend.set_mode(server_id, mode, interval_ms, actual)

    def _lock(self, server_id: str) -> threading.RLock:
        return self._locks.setdefault(server_id, threading.RLock())

    def _replica(self, record: RoleRecord) -> dict[str, Any]:
        report = dataclasses.asdict(self._backend.report(record.server_id, record.peer))
        return {"role": record.role, "epoch": record.epoch, **report}

    def status(self, ctxt: dict[str, Any], server_id: str) -> dict[str, Any] | None:
        """Return this host's replica of a pair as in the heartbeat, or None."""
        with self._lock(server_id):
            record = self._roles.get(server_id)
            return self._replica(record) if record else None

    def describe(self, ctxt: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
        """Say what the twin of the guest that runs here must be like."""
        pair = PairSpec(**spec)
        with self._lock(pair.server_id):
            self._check_epoch(pair.server_id, pair.epoch, Role.PRIMARY)
            return self._backend.describe(pair)

    def prepare_secondary(
        self, ctxt: dict[str, Any], spec: dict[str, Any], primary: dict[str, Any]
    ) -> dict[str, Any]:
        """Make a secondary that waits for its primary.

        :param primary: what the primary's host has said of it
        :returns: what the primary's host needs to know
        """
        pair = PairSpec(**spec)
        with self._lock(pair.server_id):
            record = self._roles.get(pair.server_id)
            if record is not None and record.role in (Role.PRIMARY, Role.LEAVING, Role.PROMOTED):
                raise ReplicationError(
                    reasons.RUNS_ITSELF(host=self._host, server=pair.server_id, epoch=record.epoch)
                )
            if record is not None and record.role == Role.DEMOTED:
                self._backend.discard(pair.server_id)
            self._roles.put(RoleRecord(pair.server_id, Role.SECONDARY, pair.epoch, pair.primary_host))
            return self._backend.prepare_secondary(pair, primary)

    def start_replication(
        self, ctxt: dict[str, Any], spec: dict[str, Any], secondary: dict[str, Any]
    ) -> None:
        """Start to protect the guest that runs here.

        :param secondary: what the secondary's host has said of it
        """
        pair = PairSpec(**spec)
        with self._lock(pair.server_id):
            self._check_epoch(pair.server_id, pair.epoch, Role.PRIMARY)
            self._backend.start(pair, secondary)
            self._roles.put(RoleRecord(pair.server_id, Role.PRIMARY, pair.epoch, pair.secondary_host))

    def demote(self, ctxt: dict[str, Any], server_id: str, epoch: int, expected: int | None = None) -> bool:
        """Stop the primary guest for a failover to ``epoch``.

        :param expected: the epoch that it must be the primary of: not so when Nova has started it anew, outside its pair
        :returns: whether it stands still for certain
        """
        with self._lock(server_id):
            record = self._roles.get(server_id)
            if record is not None and record.role == Role.LEAVING and record.peer is not None:
                record = dataclasses.replace(record, role=Role.PRIMARY)  # it has not left yet
            paired = record is not None and (record.role, record.epoch) in (
                (Role.PRIMARY, expected),
                (Role.DEMOTED, epoch),
            )
            if expected is not None and not paired:
                raise ReplicationError(
                    reasons.NOT_THE_PRIMARY(host=self._host, server=server_id, epoch=expected)
                )
            self._check_epoch(server_id, epoch, Role.PRIMARY, Role.LEAVING, Role.DEMOTED)
            self._roles.put(RoleRecord(server_id, Role.DEMOTED, epoch))
            return self._backend.pause(server_id)

    def promote(
        self, ctxt: dict[str, Any], server_id: str, epoch: int, stopped: bool = False
    ) -> float | None:
        """Let the secondary run alone, by the grant for ``epoch``.

        :param stopped: what the primary's host has answered to *demote*
        :returns: for how many milliseconds nobody ran; None when that is not known
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
            self._roles.put(RoleRecord(server_id, Role.PROMOTED, epoch))
            gap_ms = self._backend.promote(server_id, stopped)
        LOG.info("Server %s runs on %s, epoch %d.", server_id, self._host, epoch)
        return gap_ms

    def run_alone(self, ctxt: dict[str, Any], server_id: str, epoch: int) -> None:
        """Let the primary go on without its twin, by the grant for ``epoch``."""
        with self._lock(server_id):
            self._check_epoch(server_id, epoch, Role.PRIMARY, Role.LEAVING, Role.DEMOTED)
            record = self._roles.get(server_id)
            leaves = record is not None and record.role == Role.LEAVING
            self._backend.run_alone(server_id)
            self._roles.put(RoleRecord(server_id, Role.LEAVING if leaves else Role.PRIMARY, epoch))

    def _check_epoch(self, server_id: str, epoch: int, *roles: Role) -> None:
        """Refuse what is said too late: when this host has seen a later epoch, or is something else to the server by now."""
        record = self._roles.get(server_id)
        if record is not None and (record.epoch > epoch or record.role not in roles):
            found = {"role": record.role, "epoch": record.epoch}
            raise ReplicationError(
                reasons.WRONG_EPOCH(host=self._host, server=server_id, wanted=epoch, **found)
            )

    def settle(self, ctxt: dict[str, Any], server_id: str, epoch: int) -> None:
        """Note that Nova's records have followed a failover to this host."""
        with self._lock(server_id):
            record = self._roles.get(server_id)
            if record is not None and record.role == Role.PROMOTED:
                self._roles.put(RoleRecord(server_id, Role.PRIMARY, epoch))
            if record is not None and record.role in (Role.PROMOTED, Role.PRIMARY):
                self._backend.settle(server_id)

    def release(self, ctxt: dict[str, Any], server_id: str) -> None:
        """Stop protecting the guest that runs here; the guest runs on, or is Nova's to end."""
        with self._lock(server_id):
            record = self._roles.get(server_id)
            leaves = record is not None and record.role == Role.LEAVING
            if record is None or leaves or record.role == Role.PRIMARY:
                self._backend.release(server_id)
            if record is not None and leaves:
                # the compute driver waits for this, and forgets the role when Nova is done
                self._roles.put(dataclasses.replace(record, peer=None))
            else:
                self._roles.forget(server_id)

    def discard(
        self, ctxt: dict[str, Any], server_id: str, role: str | None = None, epoch: int | None = None
    ) -> None:
        """End this host's replica: its QEMU must not run any more. No error when this host has none.

        :param role: with epoch, what the replica was seen to be; when it has become something else since, it is kept
        """
        with self._lock(server_id):
            record = self._roles.get(server_id)
            if record is None or (role is not None and (record.role, record.epoch) != (role, epoch)):
                return
            self._backend.discard(server_id)
            self._roles.forget(server_id)
        LOG.info("Replica of server %s on %s discarded.", server_id, self._host)
