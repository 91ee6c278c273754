# SPDX-License-Identifier: Apache-2.0
"""Filters for times and levels."""

from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from colo_dashboard import pairs

register = template.Library()


@register.filter
def when(value: str | None) -> datetime | None:
    """The API's time as a datetime, which Django shows in the user's time zone."""
    try:
        return datetime.fromisoformat(value) if value else None
    except ValueError:
        return None


@register.filter
def age(value: str | None) -> Any:
    """How long ago a time of the API is, with seconds, which Django's timesince leaves out; never negative, for clocks differ."""
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


@register.filter
def level_badge(level: str) -> pairs.Badge:
    """The badge of an event's level."""
    return pairs.badge(pairs.LEVEL, level)
