# SPDX-License-Identifier: Apache-2.0
"""Filters for times and levels."""

from django import template

from colo_dashboard import pairs, times
from colo_dashboard.said import said

register = template.Library()
register.filter("when", times.when)
register.filter("age", times.age)
register.filter("mode", pairs.mode)
register.filter("said", said)


@register.filter
def level_badge(level: str) -> pairs.Badge:
    """The badge of an event's level."""
    return pairs.badge(pairs.LEVEL, level)


@register.filter
def agent_badge(state: str) -> pairs.Badge:
    """The badge of an agent's state."""
    return pairs.badge(pairs.AGENT, state)
