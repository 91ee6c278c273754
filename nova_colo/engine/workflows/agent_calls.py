# SPDX-License-Identifier: Apache-2.0
"""Calls to the agents of a pair that several workflows make.

An agent that does not answer is left for later.
"""

from collections.abc import Callable, Collection
from typing import Any

from oslo_log import log as logging

from nova_colo.agent.replication import UnverifiedError
from nova_colo.agent.rpcapi import AgentAPI, ReplicaReport
from nova_colo.db.models import Pair
from nova_colo.engine.context import Context
from nova_colo.engine.errors import AgentRefusalError, WorkflowError
from nova_colo.engine.workflows.base import Job, holds_within
from nova_colo.pair.model import Role
from nova_colo.pair.operation import FailoverParams

LOG = logging.getLogger(__name__)

#: Roles of a primary whose failover, if it had one, is complete.
PRIMARIES = (Role.PRIMARY, Role.LEAVING)


def live_status(agents: AgentAPI, host: str, server_id: str) -> ReplicaReport | None:
    """Return the state of a replica after its QEMU was asked.

    An agent of an earlier release returns the state as of its last poll.
    """
    try:
        return agents.live_status(host, server_id)
    except WorkflowError as error:
        if getattr(error.__cause__, "exc_type", None) != "NoSuchMethod":
            raise
        return agents.status(host, server_id)


def check_accepts(agents: AgentAPI, host: str, server_id: str) -> None:
    """Check that a primary's agent does not refuse all requests: it would not pause its guest.

    :raises WorkflowError: when it does. An agent that is slow is none of those.
    """
    try:
        agents.status(host, server_id)
    except WorkflowError as error:
        if isinstance(error.__cause__, UnverifiedError):
            raise


def demote(context: Context, job: Job[FailoverParams]) -> None:
    """Demote the old primary, so that its compute driver lets Nova move the server, if its agent is alive."""
    _attempt("demote", context, job.params.source, job.server_id, AgentAPI.demote, job.params.epoch + 1)


def demote_paired(context: Context, job: Job[FailoverParams]) -> bool:
    """Pause the old primary before its secondary is promoted, if its agent is alive.

    :returns: whether it is paused
    :raises AgentRefusalError: when Nova has restarted its guest: that guest may reply to clients, and the
        secondary is not a copy of it
    """
    # a primary whose agent does not answer has no grant for this epoch: its own agent blocks its egress,
    # and the secondary's host fences it
    source, epoch = job.params.source, job.params.epoch
    if job.params.planned:
        # wait for an agent that is silent for a moment, such as during a restart of libvirtd: clients may
        # lose their connections when a secondary takes over from a primary that was not paused
        holds_within(job, lambda: context.alive(source), context.conf.engine.agent_timeout)
    if context.alive(source):
        try:
            return context.agent_api.demote(source, job.server_id, epoch + 1, expected=epoch)
        except AgentRefusalError:
            raise
        except WorkflowError as error:
            LOG.warning(
                "Failed to demote the replica of server %s; it is retried later: %s", job.server_id, error
            )
    return False


def remove_secondary(
    context: Context, job: Job[Any], row: Pair, secondary: str | None, **values: Any
) -> None:
    """Remove a secondary, whether or not its hosts' agents answer.

    :param row: the pair as read by the caller
    :param values: columns of the pair to set at the same time
    :raises OperationEndedError: when another engine has ended the operation
    """
    # before the agents are called: once the primary is released Nova may restart its guest, and the secondary
    # must not take over any more
    context.update_claimed(job.server_id, job.id, secondary_host=None, **values)
    unprotect(context, job.server_id, row.primary_host, row.epoch)
    destroy(context, job.server_id, secondary, row.epoch)


def unprotect_known(
    agents: AgentAPI, host: str, server_id: str, epoch: int, roles: Collection[Role] = PRIMARIES
) -> None:
    """Unprotect a primary, unless it has a grant that the caller does not know.

    An agent of an earlier release does not compare the role and the epoch again.

    :param epoch: the newest that the caller knows
    :param roles: what the replica may be; only the role of one that is no primary is deleted
    """
    replica = agents.status(host, server_id)
    if replica is None:
        agents.unprotect(host, server_id)
    elif replica["role"] in roles and replica["epoch"] <= epoch:
        try:
            agents.unprotect_if_unchanged(host, server_id, replica["role"], replica["epoch"])
        except WorkflowError as error:
            if getattr(error.__cause__, "exc_type", None) != "TypeError":
                raise
            agents.unprotect(host, server_id)


def unprotect(context: Context, server_id: str, host: str | None, epoch: int) -> None:
    """Do the same if the agent answers. The call is repeated if the primary still waits for a secondary."""
    _attempt("unprotect", context, host, server_id, unprotect_known, epoch)


def destroy(context: Context, server_id: str, host: str | None, epoch: int) -> None:
    """Destroy a replica without a grant, unless it has had one since the caller's decision.

    This engine may have stalled for minutes, and another one promoted it since. A secondary that another
    has made since, without a failover, is destroyed, too. If the agent is silent, the reconciler destroys it
    as orphaned later.

    :param epoch: the newest of a replica that the caller may destroy; a demoted primary's is the next
    """

    def destroy(agents: AgentAPI, host: str, server_id: str) -> None:
        replica = agents.status(host, server_id)
        if replica is None:
            return
        if replica["epoch"] <= epoch + (replica["role"] == Role.DEMOTED):
            agents.destroy(host, server_id, replica["role"], replica["epoch"])
        else:
            LOG.info("The replica of server %s on host %s is newer than the operation.", server_id, host)

    _attempt("destroy", context, host, server_id, destroy)


def _attempt(
    verb: str,
    context: Context,
    host: str | None,
    server_id: str,
    method: Callable[..., Any],
    *arguments: int,
) -> None:
    if not host or not context.alive(host):
        return
    try:
        method(context.agent_api, host, server_id, *arguments)
    except WorkflowError as error:
        LOG.warning(
            "Failed to %s the replica of server %s; it is retried later: %s",
            verb,
            server_id,
            error,
        )
