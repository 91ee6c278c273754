# SPDX-License-Identifier: Apache-2.0
"""Filters for times."""

from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.translation import gettext, ngettext

register = template.Library()


@register.filter
def when(value: str | None) -> datetime | None:
    """The API's time as a datetime, which Django shows in the user's time zone."""
    try:
        return datetime.fromisoformat(value) if value else None
    except ValueError:
        return None


@register.filter
def age_seconds(value: str | None) -> int | None:
    """How many seconds ago a time of the API is; never negative, for clocks differ."""
    moment = when(value)
    return None if moment is None else max(0, int((timezone.now() - moment).total_seconds()))


@register.filter
def age(value: str | None) -> Any:
    """How long ago a time of the API is, with seconds, which Django's timesince leaves out."""
    seconds = age_seconds(value)
    if seconds is None:
        return gettext("never")
    if seconds < 120:
        return ngettext("%d second ago", "%d seconds ago", seconds) % seconds
    if seconds < 2 * 3600:
        return gettext("%d minutes ago") % (seconds // 60)
    if seconds < 48 * 3600:
        return gettext("%d hours ago") % (seconds // 3600)
    return gettext("%d days ago") % (seconds // 86400)
