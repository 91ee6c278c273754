# SPDX-License-Identifier: Apache-2.0
"""Filters for times and levels."""

from django import template

from colo_dashboard import pairs, reasons, times
from novaclient_colo.fault_tolerance import Event, Host

register = template.Library()
register.filter("when", times.when)
register.filter("age", times.age)
register.filter("to_the_second", times.to_the_second)
register.filter("mode", pairs.mode)
register.filter("translated", reasons.translated_member)


@register.filter
def event_text(event: Event) -> str:
    """Return the text of an event in the user's language."""
    return reasons.translated(event.message, getattr(event, "code", None), getattr(event, "params", None))


@register.filter
def host_reasons(host: Host) -> list[str]:
    """Return a host's unmet requirements in the user's language."""
    return reasons.translated_all(host.reasons, getattr(host, "reason_details", ()))


@register.filter
def level_badge(level: str) -> pairs.Badge:
    """Return the badge of an event's level."""
    return pairs.badge(pairs.LEVEL, level)


@register.filter
def agent_badge(state: str) -> pairs.Badge:
    """Return the badge of an agent's state."""
    return pairs.badge(pairs.AGENT, state)
