# SPDX-License-Identifier: Apache-2.0
"""How a pair is shown: its badges, and whether its row follows what happens to it."""

import dataclasses
import functools
import hashlib
import time
from typing import Any, NamedTuple

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import formats
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from colo_dashboard import reasons, times
from novaclient_colo.fault_tolerance import UNDER_WAY, FaultTolerance

# A failover that was asked for here is followed this long, also through the states in which nothing moves for a moment.
FOLLOW_S = 120
# What else was asked for shows in the state by then.
FOLLOW_OTHERS_S = 15
# Between two looks of an open page at what has changed, unless settings say otherwise.
POLL_INTERVAL_S = 5
SESSION_KEY = "fault_tolerance_followed"

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

LEVEL = {
    "info": Badge(_("Info"), "info-circle", "default"),
    "warning": Badge(_("Warning"), "exclamation-triangle", "warning"),
    "error": Badge(_("Error"), "times-circle", "danger"),
}

AGENT = {
    "up": Badge(_("Up"), "check", "success"),
    "down": Badge(_("Down"), "times-circle", "danger"),
}
MODE = {"colo": _("COLO"), "checkpoint": _("Checkpoint"), "hybrid": _("Hybrid")}


def badge(badges: dict[str, Badge], value: str) -> Badge:
    """The badge of a value; a value that a newer cloud invented is shown as it is."""
    return badges.get(value) or Badge(value.replace("_", " "), "question-circle", "default")


def mode(value: str) -> Any:
    """The name of a mode."""
    return MODE.get(value, value)


def _number(value: float | None) -> str:
    return "-" if value is None else formats.number_format(value, 1)


def _since(side: dict[str, Any] | None) -> str:
    return (
        gettext("since %(when)s") % {"when": times.age(side["since"])} if side and side.get("since") else ""
    )


@dataclasses.dataclass(frozen=True)
class PairRow:
    """One row of the table.

    :ivar project: name of the project, where it is shown
    :ivar followed: what the user asked for and is under way, see :func:`followed`
    :ivar dashboard: whose pages the row leads to, ``project`` or ``admin``
    """

    pair: FaultTolerance
    project: str
    followed: str
    dashboard: str

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
    def reasons(self) -> list[str]:
        """Why its health is not better, as far as its state does not say so already."""
        told = reasons.told_all(self.pair.health_reasons, getattr(self.pair, "health_reason_details", ()))
        return [reason for reason in told if reason != reasons.told_of(self.pair, "state_reason")]

    @functools.cached_property
    def figures(self) -> dict[str, str]:
        """What changes all the time, as text."""
        made = self.pair.checkpoints
        pauses = made["pause_ms"] or {}
        return {
            "last_checkpoint": times.age(made["last_at"]),
            "per_min": _number(made["per_min"]),
            "totals": gettext(
                "%(total)d in all: %(mismatch)d mismatch, %(periodic)d periodic, %(forced)d forced"
            )
            % made,
            "p99": gettext("%s ms") % _number(pauses.get("p99")) if pauses.get("p99") is not None else "-",
            "pauses": self._pauses(pauses),
            "primary_since": _since(self.pair.primary),
            "secondary_since": _since(self.pair.secondary),
        }

    def _pauses(self, pauses: dict[str, float | None]) -> str:
        if pauses.get("mean") is None:
            return "-"
        shown = {name: _number(pauses.get(name)) for name in ("mean", "p99", "max")}
        return gettext("mean %(mean)s ms, p99 %(p99)s ms, longest %(max)s ms") % shown

    @property
    def digest(self) -> str:
        """Differs when something else of the row has changed than its figures."""
        pair = self.pair
        shown = [
            pair.name,
            pair.state,
            pair.state_reason,
            pair.progress,
            pair.health,
            pair.health_reasons,
            pair.primary_host,
        ]
        shown += [pair.secondary_host, pair.stale_since, pair.failovers["total"], pair.actions, self.followed]
        return hashlib.sha256(repr(shown).encode()).hexdigest()[:12]

    @property
    def url(self) -> str:
        """Page of the pair."""
        return reverse(f"horizon:{self.dashboard}:fault_tolerance:detail", args=(self.id,))

    @property
    def mode(self) -> Any:
        """How the pair synchronises now."""
        return mode(self.pair.mode)

    @property
    def mode_policy(self) -> Any:
        """How it was asked to."""
        return mode(self.pair.mode_policy)

    @property
    def server_url(self) -> str:
        """The server's own page."""
        return reverse(f"horizon:{self.dashboard}:instances:detail", args=(self.id,))

    @property
    def can_be_forced(self) -> bool:
        """Whether the API has something to say of a failover that is forced: there is a secondary, and an operator."""
        return (
            self.dashboard == "admin"
            and self.pair.secondary is not None
            and self.pair.state != "failing_over"
        )

    @property
    def row_status(self) -> str:
        """What the row is for Horizon: `moving` rows are polled."""
        if self.followed or self.pair.progress or self.pair.state in UNDER_WAY:
            return "moving"
        return "error" if self.pair.state == "error" else "settled"


def make_row(request: HttpRequest, pair: FaultTolerance, dashboard: str, project: str = "") -> PairRow:
    """Return what the pages of a dashboard show of a pair to the user of a request."""
    return PairRow(pair, project, followed(request, pair), dashboard)


def poll_interval() -> int:
    """Return how many seconds are between two looks of an open page at what has changed."""
    return max(1, getattr(settings, "FAULT_TOLERANCE_POLL_INTERVAL", POLL_INTERVAL_S))


def hosts_of(pair: FaultTolerance) -> set[str | None]:
    """Hosts of a pair's sides."""
    return {pair.primary_host, pair.secondary_host}


def follow(request: HttpRequest, pair: FaultTolerance, what: str) -> None:
    """Remember what this user asked of the pair as it is now: ``failover``, or something else."""
    followed = request.session.get(SESSION_KEY, {})
    followed[pair.server_id] = [pair.epoch, time.time(), what]
    request.session[SESSION_KEY] = followed


def followed(request: HttpRequest, pair: FaultTolerance) -> str:
    """What this user asked for that is still under way; an empty string when nothing is.

    The request is taken before anything moves: until the engine takes it up the pair looks as before, and would not be
    polled.
    """
    asked = request.session.get(SESSION_KEY, {})
    if pair.server_id not in asked:
        return ""
    epoch, since, what = asked[pair.server_id]
    failover = what == "failover"
    over = pair.state == "error" or (failover and pair.epoch > epoch and pair.state in SETTLED)
    if not over and time.time() < since + (FOLLOW_S if failover else FOLLOW_OTHERS_S):
        return str(what)
    del asked[pair.server_id]
    request.session[SESSION_KEY] = asked
    return ""
