# SPDX-License-Identifier: Apache-2.0
"""A primary leaves its pair before Nova ends its guest, and not before its twin cannot take over any more.

Else the twin could be promoted, should this host's agent fall silent at that moment, while Nova starts the guest anew here.
The driver marks its role as leaving, with the twin's host; the engine sees it, gives the twin up and lets the agent take the
twin's host out of the role; only then does Nova go on. The role stays until Nova is done, so that nothing is protected meanwhile.
"""

import dataclasses
from time import sleep

import tenacity

from nova_colo.hoststate.roles import RoleRecord, RoleStore
from nova_colo.pair.model import Role

#: Seconds between two looks at the role.
INTERVAL = 0.2


def leave(roles: RoleStore, server_id: str, timeout: float) -> str:
    """Leave the pair of a server whose primary runs here, and wait until that is safe.

    :param timeout: seconds to wait
    :returns: why it cannot be left, with the remedy, and then nothing has changed; an empty string when it was left
    """
    record = roles.get(server_id)
    if record is None:
        return ""
    roles.put(dataclasses.replace(record, role=Role.LEAVING))
    waiting = tenacity.Retrying(
        retry=tenacity.retry_if_result(_waits),
        wait=tenacity.wait_fixed(INTERVAL),
        stop=tenacity.stop_after_delay(timeout),
        sleep=sleep,
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    now = waiting(roles.get, server_id)
    if _waits(now):
        roles.put(record)
        return (
            f"its twin on {record.peer} was not given up within {timeout:g} s, and could take over meanwhile. "
            "Look whether nova-colo-engine and this host's nova-colo-agent run, then try again"
        )
    if now is None or (now.role in (Role.LEAVING, Role.PRIMARY) and now.peer is None):
        return ""
    return "its twin has just taken over. Try again when its fault tolerance state is protected or degraded"


def _waits(record: RoleRecord | None) -> bool:
    return record is not None and record.role == Role.LEAVING and record.peer is not None


def end(roles: RoleStore, server_id: str) -> None:
    """Forget the role of a guest that has left its pair."""
    record = roles.get(server_id)
    if record is not None and record.peer is None and record.role in (Role.LEAVING, Role.PRIMARY):
        roles.forget(server_id)


def resume(roles: RoleStore) -> None:
    """Settle what a nova-compute that was ended in the middle has left: one still in its pair stays there."""
    for record in roles.all():
        if _waits(record):
            roles.put(dataclasses.replace(record, role=Role.PRIMARY))
        elif record.role == Role.LEAVING:
            roles.forget(record.server_id)
