# SPDX-License-Identifier: Apache-2.0
"""The actions on a pair, with their texts."""

import dataclasses
from typing import Any

from django.utils.translation import gettext_lazy as _

from novaclient_colo.fault_tolerance import FaultTolerance


@dataclasses.dataclass(frozen=True)
class Action:
    """One of the API's actions.

    :ivar slug: its name in URLs, and of FaultToleranceManager's method
    :ivar wire: its name in the API
    :ivar sentence: the effect of the action, with ``%(name)s``
    :ivar caution: the risk for the server, or nothing
    :ivar failed: the message of a refusal, with ``%(name)s`` and ``%(reason)s``
    :ivar asked: the message of an accepted request, with ``%(name)s``
    :ivar danger: whether its button is red
    :ivar instead_of: the action that it replaces when it is possible
    """

    slug: str
    wire: str
    label: Any
    sentence: Any
    caution: Any
    failed: Any
    asked: Any
    danger: bool = False
    instead_of: str = ""


_AFTER_FAILOVER = _(
    "Afterwards the server runs unprotected until it has a new secondary. "
    "If its new host fails before that, the server stops."
)
_WITHOUT_SECONDARY = _("Until then the server runs unprotected: if its host fails, it stops.")

ACTIONS = (
    Action(
        "failover",
        "failover",
        _("Fail over"),
        _(
            "The secondary of %(name)s becomes its primary. "
            "The server keeps its memory, addresses and connections."
        ),
        _AFTER_FAILOVER,
        _("Unable to fail over %(name)s: %(reason)s"),
        _("Failover of %(name)s was requested. Its row shows the progress."),
        danger=True,
    ),
    Action(
        "test_failover",
        "ft-test-failover",
        _("Test failover"),
        _(
            "The secondary of %(name)s becomes its primary, to verify that failover works. "
            "The server keeps its memory, addresses and connections."
        ),
        _AFTER_FAILOVER,
        _("Unable to test the failover of %(name)s: %(reason)s"),
        _("Test failover of %(name)s was requested. Its row shows the progress."),
    ),
    Action(
        "protect",
        "ft-protect",
        _("Protect"),
        _("%(name)s gets a secondary on another host. The server keeps running."),
        "",
        _("Unable to protect %(name)s: %(reason)s"),
        _("Protection of %(name)s was requested. Its row shows the progress."),
        instead_of="unprotect",
    ),
    Action(
        "unprotect",
        "ft-unprotect",
        _("Unprotect"),
        _(
            "The secondary of %(name)s is removed, and its capacity is released. You can protect the "
            "server again at any time."
        ),
        _WITHOUT_SECONDARY,
        _("Unable to unprotect %(name)s: %(reason)s"),
        _("Removal of the protection of %(name)s was requested."),
    ),
    Action(
        "resume",
        "ft-resume",
        _("Resume protection"),
        _("%(name)s gets its secondary back. The server keeps running."),
        "",
        _("Unable to resume the protection of %(name)s: %(reason)s"),
        _("Protection of %(name)s was requested. Its row shows the progress."),
        instead_of="suspend",
    ),
    Action(
        "suspend",
        "ft-suspend",
        _("Suspend protection"),
        _(
            "The secondary of %(name)s is removed, and its reservation is kept. You can resume the "
            "protection at any time."
        ),
        _WITHOUT_SECONDARY,
        _("Unable to suspend the protection of %(name)s: %(reason)s"),
        _("Suspension of the protection of %(name)s was requested."),
    ),
    Action(
        "migrate_secondary",
        "ft-migrate-secondary",
        _("Move secondary"),
        _("The secondary of %(name)s is created again on another host. The server itself stays where it is."),
        _("The server runs unprotected while its secondary moves."),
        _("Unable to move the secondary of %(name)s: %(reason)s"),
        _("A move of the secondary of %(name)s was requested. Its row shows the progress."),
    ),
    Action(
        "set_mode",
        "ft-set-mode",
        _("Set mode"),
        _("Sets when %(name)s and its secondary synchronise."),
        "",
        _("Unable to set the mode of %(name)s: %(reason)s"),
        _("A change of the mode of %(name)s was requested."),
    ),
)
BY_SLUG = {action.slug: action for action in ACTIONS}


def is_offered(action: Action, pair: FaultTolerance) -> bool:
    """Return whether an action is offered for a pair: of two opposite ones, only the possible one is."""
    if not any(known["name"] == action.wire for known in pair.actions):
        return False
    if action.instead_of:
        return pair.permission(action.wire).allowed
    opposite = next((other for other in ACTIONS if other.instead_of == action.slug), None)
    return opposite is None or not pair.permission(opposite.wire).allowed
