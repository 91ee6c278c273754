# SPDX-License-Identifier: Apache-2.0
"""Calls to the agents of a pair that several workflows make. An agent that does not answer is left for later."""

from typing import Any

from oslo_log import log as logging

from nova_colo.db import pairs
from nova_colo.engine.context import Context
from nova_colo.engine.errors import AgentRefusalError, WorkflowError
from nova_colo.engine.workflows.base import Job, holds_within

LOG = logging.getLogger(__name__)


def demote(context: Context, job: Job) -> None:
    """Demote the old primary, so that its compute driver lets Nova move the server, if its agent is alive."""
    _call(context, job.params["source"], "demote", job.server_id, epoch=job.params["epoch"] + 1)


def demote_paired(context: Context, job: Job) -> bool:
    """Pause the old primary before its secondary is promoted, if its agent is alive. Return whether it is paused.

    :raises AgentRefusalError: when Nova has restarted its guest: that guest may reply to clients, and the
        secondary is not a copy of it
    """
    # a primary whose agent does not answer has no grant for this epoch: its own agent blocks its egress,
    # and the secondary's host fences it
    source, epoch = job.params["source"], job.params["epoch"]
    if job.params.get("planned"):
        # wait for an agent that is silent for a moment, such as during a restart of libvirtd: clients may lose
        # their connections when a secondary takes over from a primary that was not paused
        holds_within(job, lambda: context.alive(source), context.conf.engine.agent_timeout)
    if context.alive(source):
        try:
            return bool(
                context.call_agent(source, "demote", server_id=job.server_id, epoch=epoch + 1, expected=epoch)
            )
        except AgentRefusalError:
            raise
        except WorkflowError as error:
            LOG.warning("demote of server %s failed and is left for later: %s", job.server_id, error)
    return False


def remove_secondary(context: Context, job: Job, primary: str, secondary: str | None, **values: Any) -> None:
    """Remove a secondary, whether or not its hosts' agents answer.

    :param values: columns of the pair to set at the same time
    :raises OperationEndedError: when another engine has ended the operation
    """
    # before the agents are called: once the primary is released Nova may restart its guest, and the secondary
    # must not take over any more
    context.update_claimed(job.server_id, job.id, **(values | pairs.NO_SECONDARY))
    unprotect(context, job.server_id, primary)
    destroy(context, job.server_id, secondary)


def unprotect(context: Context, server_id: str, host: str | None) -> None:
    """Let a primary run without replication. The call is repeated if the primary still waits for a secondary."""
    _call(context, host, "release", server_id)


def destroy(context: Context, server_id: str, host: str | None) -> None:
    """Destroy a replica without a grant. If its agent is silent, the reconciler destroys it as orphaned later."""
    _call(context, host, "discard", server_id)


def _call(context: Context, host: str | None, method: str, server_id: str, **arguments: int) -> None:
    if host is None or not context.alive(host):
        return
    try:
        context.call_agent(host, method, server_id=server_id, **arguments)
    except WorkflowError as error:
        LOG.warning("%s of server %s failed and is left for later: %s", method, server_id, error)
