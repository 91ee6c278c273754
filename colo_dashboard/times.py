# SPDX-License-Identifier: Apache-2.0
"""Formatting of the API's times."""

from datetime import datetime

from django.utils import formats, timezone
from django.utils.translation import gettext, ngettext


def when(value: str | None) -> datetime | None:
    """Return a time of the API as a datetime, which Django shows in the user's time zone."""
    try:
        return datetime.fromisoformat(value) if value else None
    except ValueError:
        return None


def age(value: str | None) -> str:
    """Return the age of a time of the API, with seconds, which Django's timesince leaves out.

    It is never negative, since clocks differ.
    """
    moment = when(value)
    if moment is None:
        return gettext("never")
    seconds = _seconds_since(moment)
    return _in_largest_unit(
        seconds,
        ngettext("%d second ago", "%d seconds ago", seconds),
        gettext("%d minutes ago"),
        gettext("%d hours ago"),
        gettext("%d days ago"),
    )


def duration(value: str | None) -> str:
    """Return for how long something has been so since a time of the API; an empty string if it is unknown."""
    moment = when(value)
    if moment is None:
        return ""
    seconds = _seconds_since(moment)
    return _in_largest_unit(
        seconds,
        ngettext("for %d second", "for %d seconds", seconds),
        gettext("for %d minutes"),
        gettext("for %d hours"),
        gettext("for %d days"),
    )


def to_the_second(moment: datetime | None) -> str:
    """Return the date and the time of day in the user's language and time zone; a dash if there is none.

    Django's formats of a time omit the seconds, in which all of a failover happens.
    """
    if moment is None:
        return "-"
    local = timezone.localtime(moment)
    return f"{formats.date_format(local)}, {formats.time_format(local, 'H:i:s')}"


def _seconds_since(moment: datetime) -> int:
    return max(0, int((timezone.now() - moment).total_seconds()))


def _in_largest_unit(seconds: int, in_seconds: str, in_minutes: str, in_hours: str, in_days: str) -> str:
    """Return the text for the largest unit of which there are two or more, with their number."""
    if seconds < 120:
        return in_seconds % seconds
    if seconds < 2 * 3600:
        return in_minutes % (seconds // 60)
    if seconds < 48 * 3600:
        return in_hours % (seconds // 3600)
    return in_days % (seconds // 86400)
