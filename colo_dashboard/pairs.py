# SPDX-License-Identifier: Apache-2.0
"""Presentation of a pair: its badges, its row, and whether the row is polled."""

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

# Seconds for which the row of a requested failover is polled, also in states that look final.
FOLLOW_S = 120
# The same for other actions, whose progress shows in the state by then.
FOLLOW_OTHERS_S = 15
# Default of the setting, in seconds between two polls of an open page.
POLL_INTERVAL_S = 5
SESSION_KEY = "fault_tolerance_followed"

SETTLED = ("protected", "unprotected", "suspended", "error")
#: The states in which requests are done.
DONE = {
    "protect": "protected",
    "resume": "protected",
    "suspend": "suspended",
    "unprotect": "unprotected",
}


class Badge(NamedTuple):
    """A label with an icon and a style (`colo-badge-<style>`).

    Icons are those of Font Awesome that the Material theme maps too.
    """

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
    """Return the badge of a value; an unknown value, of a newer cloud, is shown as it is."""
    return badges.get(value) or Badge(value.replace("_", " "), "question-circle", "default")


def mode(value: str) -> Any:
    """Return the label of a mode."""
    return MODE.get(value, value)


def _number(value: float | None) -> str:
    return "-" if value is None else formats.number_format(value, 1)


def _since(replica: dict[str, Any] | None) -> str:
    return times.duration(replica.get("since")) if replica else ""


@dataclasses.dataclass(frozen=True)
class PairRow:
    """One row of the table.

    :ivar project: name of the project, if it is shown
    :ivar followed: the user's request that is in progress, see :func:`followed`
    :ivar dashboard: the dashboard of the row's links, ``project`` or ``admin``
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
        """The reasons of its health, without the reason of its state."""
        details = getattr(self.pair, "health_reason_details", ())
        state_reason = reasons.translated_member(self.pair, "state_reason")
        texts = reasons.translated_all(self.pair.health_reasons, details)
        return [text for text in texts if text != state_reason]

    @functools.cached_property
    def figures(self) -> dict[str, str]:
        """The figures that change constantly, as text."""
        checkpoints = self.pair.checkpoints
        pauses = checkpoints["pause_ms"] or {}
        return {
            "last_checkpoint": times.age(checkpoints["last_at"]),
            "per_min": _number(checkpoints["per_min"]),
            "totals": gettext(
                "%(total)d in total: %(mismatch)d mismatch, %(periodic)d periodic, %(forced)d forced"
            )
            % checkpoints,
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
        """A hash of all that the row shows except its figures."""
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
        """The mode in which the pair synchronises now."""
        return mode(self.pair.mode)

    @property
    def mode_policy(self) -> Any:
        """The mode that was requested."""
        return mode(self.pair.mode_policy)

    @property
    def server_url(self) -> str:
        """The server's own page."""
        return reverse(f"horizon:{self.dashboard}:instances:detail", args=(self.id,))

    @property
    def can_be_forced(self) -> bool:
        """Whether a forced failover is offered: to operators, while there is a secondary."""
        return (
            self.dashboard == "admin"
            and self.pair.secondary is not None
            and self.pair.state != "failing_over"
        )

    @property
    def row_status(self) -> str:
        """The row's status for Horizon, which polls `moving` rows."""
        if self.followed or self.pair.progress or self.pair.state in UNDER_WAY:
            return "moving"
        return "error" if self.pair.state == "error" else "settled"


def make_row(request: HttpRequest, pair: FaultTolerance, dashboard: str, project: str = "") -> PairRow:
    """Return the row of a pair on a dashboard's pages, for the user of a request."""
    return PairRow(pair, project, followed(request, pair), dashboard)


def poll_interval() -> int:
    """Return the seconds between two polls of an open page."""
    return max(1, getattr(settings, "FAULT_TOLERANCE_POLL_INTERVAL", POLL_INTERVAL_S))


def hosts_of(pair: FaultTolerance) -> set[str | None]:
    """Return the hosts of a pair's replicas."""
    return {pair.primary_host, pair.secondary_host}


def follow(request: HttpRequest, pair: FaultTolerance, what: str) -> None:
    """Record in the session that this user requested an action on a pair.

    :param what: ``failover``, or another action
    """
    followed = request.session.get(SESSION_KEY, {})
    followed[pair.server_id] = [pair.epoch, time.time(), what]
    request.session[SESSION_KEY] = followed


def followed(request: HttpRequest, pair: FaultTolerance) -> str:
    """Return this user's request on a pair that is still in progress; an empty string if there is none.

    Until the engine starts the operation, the pair itself looks as before, so its row would not be polled.
    """
    requests = request.session.get(SESSION_KEY, {})
    if pair.server_id not in requests:
        return ""
    epoch, since, what = requests[pair.server_id]
    failover = what == "failover"
    over = (
        pair.state == "error"
        or (failover and pair.epoch > epoch and pair.state in SETTLED)
        or (DONE.get(what) == pair.state and not pair.progress)
    )
    if not over and time.time() < since + (FOLLOW_S if failover else FOLLOW_OTHERS_S):
        return str(what)
    del requests[pair.server_id]
    request.session[SESSION_KEY] = requests
    return ""
