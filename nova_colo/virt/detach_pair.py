# SPDX-License-Identifier: Apache-2.0
"""Make a primary leave its pair before Nova stops its guest.

Otherwise the secondary could be promoted while Nova restarts the guest here, if this host's agent became
silent at that moment. The driver sets its role to leaving and keeps the peer in it. The engine then removes
the secondary and makes the agent delete the peer from the role; only then Nova continues. The role is kept
until Nova has finished, so that the server is not protected meanwhile.
"""

import dataclasses
from time import sleep

import tenacity
from oslo_log import log as logging

from nova_colo.hoststate.roles import RoleRecord, RoleStore
from nova_colo.pair.model import Role

LOG = logging.getLogger(__name__)

#: Seconds between two polls of the role.
INTERVAL = 0.2


def leave(roles: RoleStore, server_id: str, timeout: float) -> str:
    """Make the primary on this host leave its pair, and wait until its secondary cannot be promoted any more.

    :param timeout: seconds to wait
    :returns: why the pair cannot be left, with the remedy; nothing has changed then. An empty string on
        success
    """
    record = roles.get(server_id)
    if record is None:
        return ""
    roles.put(dataclasses.replace(record, role=Role.LEAVING))
    waiting = tenacity.Retrying(
        retry=tenacity.retry_if_result(_is_in_pair),
        wait=tenacity.wait_fixed(INTERVAL),
        stop=tenacity.stop_after_delay(timeout),
        sleep=sleep,
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    now = waiting(roles.get, server_id)
    if _is_in_pair(now):
        roles.put(dataclasses.replace(record, role=Role.PRIMARY))
        # the text is shown to the server's owner, who may not see hosts
        LOG.warning("The secondary of server %s is on %s and was not removed.", server_id, record.peer)
        return (
            f"its secondary was not removed within {timeout:g} s, and could take over meanwhile. Check that "
            "nova-colo-engine and this host's nova-colo-agent run, then try again"
        )
    if now is None or (now.role in (Role.LEAVING, Role.PRIMARY) and now.peer is None):
        return ""
    return (
        "its secondary has just taken over. Try again when its fault tolerance state is protected or degraded"
    )


def _is_in_pair(record: RoleRecord | None) -> bool:
    """Return whether a primary that is to leave its pair still has its peer."""
    return record is not None and record.role == Role.LEAVING and record.peer is not None


def end(roles: RoleStore, server_id: str) -> None:
    """Delete the role of a guest that has left its pair."""
    record = roles.get(server_id)
    if record is not None and record.peer is None and record.role in (Role.LEAVING, Role.PRIMARY):
        roles.delete(server_id)


def resume(roles: RoleStore) -> None:
    """Clean up after a nova-compute that was killed meanwhile: a primary with a peer stays in its pair."""
    for record in roles.all():
        if _is_in_pair(record):
            roles.put(dataclasses.replace(record, role=Role.PRIMARY))
        elif record.role == Role.LEAVING:
            roles.delete(record.server_id)
