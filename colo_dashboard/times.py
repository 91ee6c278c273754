# SPDX-License-Identifier: Apache-2.0
"""Formatting of the API's times."""

from datetime import datetime

from django.utils import timezone
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
    seconds = max(0, int((timezone.now() - moment).total_seconds()))
    if seconds < 120:
        return ngettext("%d second ago", "%d seconds ago", seconds) % seconds
    if seconds < 2 * 3600:
        return gettext("%d minutes ago") % (seconds // 60)
    if seconds < 48 * 3600:
        return gettext("%d hours ago") % (seconds // 3600)
    return gettext("%d days ago") % (seconds // 86400)
