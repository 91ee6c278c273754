# SPDX-License-Identifier: Apache-2.0
"""Filters for times and levels."""

from django import template

from colo_dashboard import pairs, reasons, times
from novaclient_colo.fault_tolerance import Event, Host

register = template.Library()
register.filter("when", times.when)
register.filter("age", times.age)
register.filter("mode", pairs.mode)
register.filter("told", reasons.told_of)


@register.filter
def told_event(event: Event) -> str:
    """Return what has happened, in the user's language."""
    return reasons.told(event.message, getattr(event, "code", None), getattr(event, "params", None))


@register.filter
def told_reasons(host: Host) -> list[str]:
    """Return what a host lacks, in the user's language."""
    return reasons.told_all(host.reasons, getattr(host, "reason_details", ()))


@register.filter
def level_badge(level: str) -> pairs.Badge:
    """The badge of an event's level."""
    return pairs.badge(pairs.LEVEL, level)


@register.filter
def agent_badge(state: str) -> pairs.Badge:
    """The badge of an agent's state."""
    return pairs.badge(pairs.AGENT, state)
