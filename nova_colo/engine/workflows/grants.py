# SPDX-License-Identifier: Apache-2.0
"""Give the grant of a pair to one of its replicas, or return it."""

from typing import Any

from oslo_utils import timeutils

from nova_colo.agent.rpcapi import ReplicaReport, has_ended
from nova_colo.db import pairs
from nova_colo.engine.context import Context
from nova_colo.engine.errors import OperationEndedError, WorkflowError
from nova_colo.engine.workflows.base import Job
from nova_colo.pair import arbitration, reasons
from nova_colo.pair.model import Role
from nova_colo.pair.operation import FailoverParams


def grant(context: Context, job: Job[Any], to: str, **values: Any) -> None:
    """Grant epoch + 1. When repeated after a crash, the grant is found in the row."""
    epoch = job.params.epoch
    replicas = context.tracker.snapshot().replicas(job.server_id)  # before the row is read
    row = context.pair(job.server_id)
    if newer := arbitration.newer_grant(pairs.to_model(row), replicas):
        raise WorkflowError(newer.reason(row.epoch))
    since = {"primary_since": timeutils.utcnow()} if to != job.params.source else {}
    values |= since | {"primary_host": to, "secondary_host": None}
    with context.database.writer() as session:
        if pairs.grant(session, job.server_id, epoch, job.id, **values):
            return
    row = context.pair(job.server_id)
    if row.epoch == epoch:
        raise OperationEndedError()
    if (row.epoch, row.primary_host) != (epoch + 1, to):
        raise WorkflowError(reasons.GRANT_GIVEN(epoch=epoch + 1, host=row.primary_host))


def may_be_needed(replica: ReplicaReport | None) -> bool:
    """Return whether a secondary that has the grant may still be promoted, or has been.

    :param replica: as its agent reports it
    """
    if replica is None:
        return False
    return replica["role"] != Role.SECONDARY or (not has_ended(replica) and replica.get("disks_equal", True))


def return_unused(context: Context, job: Job[FailoverParams], replica: ReplicaReport | None) -> bool:
    """Destroy a secondary that has the grant and was not promoted, and return the grant to the primary.

    :param replica: the secondary as its agent reports it
    :returns: False when it has been promoted
    """
    target = job.params.target
    if replica is not None:
        if replica["role"] != Role.SECONDARY:
            return False
        context.agent_api.destroy(target, job.server_id, Role.SECONDARY, replica["epoch"])
        if context.agent_api.status(target, job.server_id) is not None:
            return False
    with context.database.writer() as session:
        granted = pairs.grant(
            session,
            job.server_id,
            job.params.epoch + 1,
            job.id,
            primary_host=job.params.source,
            secondary_host=None,
        )
    if not granted:
        raise WorkflowError(reasons.GRANT_MISSED())
    return True
