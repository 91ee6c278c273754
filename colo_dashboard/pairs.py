# SPDX-License-Identifier: Apache-2.0
"""How a pair is shown: its badges, and whether its row follows what happens to it."""

import dataclasses
import time
from typing import Any, NamedTuple

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from novaclient_colo.fault_tolerance import FaultTolerance

# A failover that was asked for here is followed this long, also through the states in which nothing moves for a moment.
FOLLOW_S = 120
SESSION_KEY = "fault_tolerance_followed"

MOVING = ("failing_over", "starting")
SETTLED = ("protected", "unprotected", "suspended", "error")


class Badge(NamedTuple):
    """A word with its icon (Font Awesome, those the Material theme maps too) and style (`colo-badge-<style>`)."""

    label: Any
    icon: str
    style: str


PROTECTION = {
    "protected": Badge(_("Protected"), "link", "success"),
    "starting": Badge(_("Starting"), "refresh", "info"),
    "failing_over": Badge(_("Failing over"), "exchange", "info"),
    "degraded": Badge(_("Degraded"), "unlink", "warning"),
    "unprotected": Badge(_("Unprotected"), "ban", "warning"),
    "suspended": Badge(_("Suspended"), "pause", "default"),
    "error": Badge(_("Error"), "times-circle", "danger"),
}
HEALTH = {
    "ok": Badge(_("OK"), "check", "success"),
    "warning": Badge(_("Warning"), "exclamation-triangle", "warning"),
    "critical": Badge(_("Critical"), "exclamation-circle", "danger"),
    "unknown": Badge(_("Unknown"), "question-circle", "default"),
}


def badge(badges: dict[str, Badge], value: str) -> Badge:
    """The badge of a value; a value that a newer cloud invented is shown as it is."""
    return badges.get(value) or Badge(value.replace("_", " "), "question-circle", "default")


@dataclasses.dataclass(frozen=True)
class PairRow:
    """One row of the table."""

    pair: FaultTolerance
    project: str
    followed: bool

    @property
    def id(self) -> str:
        """Id of the server."""
        return self.pair.server_id

    @property
    def name(self) -> str:
        """Name of the server."""
        return self.pair.name

    @property
    def primary_host(self) -> str | None:
        """Host of the primary."""
        return self.pair.primary_host

    @property
    def secondary_host(self) -> str | None:
        """Host of the secondary."""
        return self.pair.secondary_host

    @property
    def protection(self) -> Badge:
        """Badge of the state."""
        return badge(PROTECTION, self.pair.state)

    @property
    def health(self) -> Badge:
        """Badge of the health."""
        return badge(HEALTH, self.pair.health)

    @property
    def row_status(self) -> str:
        """What the row is for Horizon: `moving` rows are polled."""
        if self.followed or self.pair.state in MOVING:
            return "moving"
        return "error" if self.pair.state == "error" else "settled"


def follow(request: HttpRequest, pair: FaultTolerance) -> None:
    """Remember that this user asked for a failover of the pair as it is now."""
    followed = request.session.get(SESSION_KEY, {})
    followed[pair.server_id] = [pair.epoch, time.time()]
    request.session[SESSION_KEY] = followed


def is_followed(request: HttpRequest, pair: FaultTolerance) -> bool:
    """Whether a failover that this user asked for is still under way.

    The request is taken before anything moves: until the engine takes it up the pair looks as before, and would not be
    polled.
    """
    followed = request.session.get(SESSION_KEY, {})
    if pair.server_id not in followed:
        return False
    epoch, since = followed[pair.server_id]
    over = pair.state == "error" or (pair.epoch > epoch and pair.state in SETTLED)
    if not over and time.time() < since + FOLLOW_S:
        return True
    del followed[pair.server_id]
    request.session[SESSION_KEY] = followed
    return False
