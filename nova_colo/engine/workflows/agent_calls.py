# SPDX-License-Identifier: Apache-2.0
"""What several workflows tell the two agents of a pair, and go on when one cannot be told."""

from typing import Any

from oslo_log import log as logging

from nova_colo.db import pairs
from nova_colo.engine.context import Services
from nova_colo.engine.errors import AgentRefusalError, WorkflowError
from nova_colo.engine.workflows.base import Job, holds_within

LOG = logging.getLogger(__name__)


def demote(services: Services, job: Job) -> None:
    """Let the old primary's compute driver give the records away; it is not told when it cannot be reached."""
    _tell(services, job.params["source"], "demote", job.server_id, epoch=job.params["epoch"] + 1)


def demote_paired(services: Services, job: Job) -> bool:
    """Stop the old primary before its twin runs, if it can be reached; tells whether it stands still.

    :raises AgentRefusalError: when Nova has started its guest anew: the twin is another's, and the guest may answer clients
    """
    # one that cannot be told holds no grant for this epoch: its own agent holds it back, and the twin's host ends it
    source, epoch = job.params["source"], job.params["epoch"]
    if job.params.get("planned"):
        # nothing was lost: an agent that is silent for a moment, as while libvirtd is restarted, is waited for. A secondary that
        # takes over from a primary that nobody has stopped may cost its clients their connections
        holds_within(job, lambda: services.alive(source), services.conf.engine.agent_timeout)
    if services.alive(source):
        try:
            return bool(
                services.ask(source, "demote", server_id=job.server_id, epoch=epoch + 1, expected=epoch)
            )
        except AgentRefusalError:
            raise
        except WorkflowError as error:
            LOG.warning("demote of server %s is left for later: %s", job.server_id, error)
    return False


def give_up(services: Services, job: Job, primary: str, secondary: str | None, **values: Any) -> None:
    """Remove a secondary: the pair has none from now on, whatever its hosts say and whether they can be told.

    :param values: columns of the pair to set with that
    :raises OperationEndedError: when another engine has ended the operation
    """
    # first of all: when the primary hears of it, Nova may start its guest anew, and no twin may take over then
    services.update_claimed(job.server_id, job.id, **(values | pairs.NO_SECONDARY))
    release(services, job.server_id, primary)
    discard(services, job.server_id, secondary)


def release(services: Services, server_id: str, host: str | None) -> None:
    """Let a primary run without replication. It is told again when it waits for a twin that it has not."""
    _tell(services, host, "release", server_id)


def discard(services: Services, server_id: str, host: str | None) -> None:
    """End a replica that holds no grant; what cannot be reached now is found stale when its agent is back."""
    _tell(services, host, "discard", server_id)


def _tell(services: Services, host: str | None, method: str, server_id: str, **arguments: int) -> None:
    if host is None or not services.alive(host):
        return
    try:
        services.ask(host, method, server_id=server_id, **arguments)
    except WorkflowError as error:
        LOG.warning("%s of server %s is left for later: %s", method, server_id, error)
