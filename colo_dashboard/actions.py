# SPDX-License-Identifier: Apache-2.0
"""What can be asked of a pair, and in which words."""

import dataclasses
from typing import Any

from django.utils.translation import gettext_lazy as _

from novaclient_colo.fault_tolerance import FaultTolerance


@dataclasses.dataclass(frozen=True)
class Action:
    """One of the API's actions.

    :ivar slug: in URLs and names, and FaultToleranceManager's method
    :ivar wire: what the API calls it
    :ivar sentence: what will be done, about ``%(name)s``
    :ivar caution: what it means for the server, or nothing
    :ivar failed: that it was refused: ``%(name)s``, ``%(reason)s``
    :ivar asked: that it was asked for: ``%(name)s``
    :ivar danger: whether its button is red
    :ivar instead_of: the action in whose place it is offered, when it is possible
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


_ALONE = _(
    "Afterwards the server runs alone until it is re-protected. If its new host dies in that time, the server stops."
)
_UNPROTECTED = _("Until then the server runs alone: if its host dies, it stops.")

ACTIONS = (
    Action(
        "failover",
        "failover",
        _("Fail over"),
        _(
            "The secondary of %(name)s becomes its primary. The server keeps its memory, addresses and connections."
        ),
        _ALONE,
        _("Unable to fail over %(name)s: %(reason)s"),
        _("Failover of %(name)s was requested. Its row follows the progress."),
        danger=True,
    ),
    Action(
        "test_failover",
        "ft-test-failover",
        _("Test failover"),
        _(
            "The secondary of %(name)s becomes its primary, to see that it works. Nothing is lost if it does not."
        ),
        _ALONE,
        _("Unable to test the failover of %(name)s: %(reason)s"),
        _("Test failover of %(name)s was requested. Its row follows the progress."),
    ),
    Action(
        "protect",
        "ft-protect",
        _("Protect"),
        _("%(name)s gets a secondary on another host. It runs on meanwhile."),
        "",
        _("Unable to protect %(name)s: %(reason)s"),
        _("Protection of %(name)s was requested. Its row follows the progress."),
        instead_of="unprotect",
    ),
    Action(
        "unprotect",
        "ft-unprotect",
        _("Unprotect"),
        _(
            "The secondary of %(name)s is removed, and its room is free for other servers. Protect the server again at any time."
        ),
        _UNPROTECTED,
        _("Unable to unprotect %(name)s: %(reason)s"),
        _("Removal of the protection of %(name)s was requested."),
    ),
    Action(
        "resume",
        "ft-resume",
        _("Resume protection"),
        _("%(name)s gets its secondary back. It runs on meanwhile."),
        "",
        _("Unable to resume the protection of %(name)s: %(reason)s"),
        _("Protection of %(name)s was requested. Its row follows the progress."),
        instead_of="suspend",
    ),
    Action(
        "suspend",
        "ft-suspend",
        _("Suspend protection"),
        _("The secondary of %(name)s is removed, and its room is kept. Resume the protection at any time."),
        _UNPROTECTED,
        _("Unable to suspend the protection of %(name)s: %(reason)s"),
        _("Suspension of the protection of %(name)s was requested."),
    ),
    Action(
        "migrate_secondary",
        "ft-migrate-secondary",
        _("Move secondary"),
        _("The secondary of %(name)s is made anew on another host. The server itself stays where it is."),
        _("The server runs alone while its secondary moves."),
        _("Unable to move the secondary of %(name)s: %(reason)s"),
        _("Move of the secondary of %(name)s was requested. Its row follows the progress."),
    ),
    Action(
        "set_mode",
        "ft-set-mode",
        _("Set mode"),
        _("Sets when %(name)s and its secondary synchronise."),
        "",
        _("Unable to set the mode of %(name)s: %(reason)s"),
        _("The mode of %(name)s was set."),
    ),
)
BY_SLUG = {action.slug: action for action in ACTIONS}


def is_offered(action: Action, pair: FaultTolerance) -> bool:
    """Tell whether an action has its place among those of a pair: of two opposite ones the one that makes sense now has."""
    if not any(known["name"] == action.wire for known in pair.actions):
        return False
    if action.instead_of:
        return pair.permission(action.wire).allowed
    opposite = next((other for other in ACTIONS if other.instead_of == action.slug), None)
    return opposite is None or not pair.permission(opposite.wire).allowed
