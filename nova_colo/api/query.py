# SPDX-License-Identifier: Apache-2.0
"""Parsing and validation of query strings."""

import datetime
from typing import Any

import nova.conf
import webob.exc
from nova.api.openstack import wsgi
from oslo_utils import timeutils

from nova_colo.api.service import validate


def parse(request: wsgi.Request, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a request's query with the schema's types: lists, integers and strings.

    :raises webob.exc.HTTPBadRequest: when they do not fit the schema; the message names the wrong one
    """
    try:
        given = request.GET.dict_of_lists()
    except UnicodeDecodeError:
        raise webob.exc.HTTPBadRequest(explanation="The query string is not UTF-8 encoded.") from None
    parsed = {
        name: _value(name, values, schema["properties"].get(name, {})) for name, values in given.items()
    }
    validate(parsed, schema, where="query")
    return parsed


def _value(name: str, values: list[str], schema: dict[str, Any]) -> Any:
    if schema.get("type") == "array":
        return values
    if len(values) > 1:
        raise webob.exc.HTTPBadRequest(
            explanation=f"Invalid input for query parameter {name}: it is given more than once."
        )
    (value,) = values
    # stricter than int(), which accepts " 1" and "1_000" too: the schema refuses the remaining strings
    is_number = value.isascii() and value.isdecimal() and len(value) < 20
    return int(value) if schema.get("type") == "integer" and is_number else value


def limit(parsed: dict[str, Any]) -> int:
    """Return the largest number of items of a page: the requested one, up to Nova's [api] max_limit."""
    return min(parsed.get("limit", largest_page()), largest_page())


def largest_page() -> int:
    """Return Nova's [api] max_limit."""
    max_limit: int = nova.conf.CONF.api.max_limit
    return max_limit


def time(parsed: dict[str, Any], name: str, default: datetime.datetime) -> datetime.datetime:
    """Return a time of a query, in UTC without a zone.

    :raises webob.exc.HTTPBadRequest: when it is not a time
    """
    if name not in parsed:
        return default
    try:
        return timeutils.normalize_time(timeutils.parse_isotime(parsed[name]))
    except (ValueError, OverflowError):
        raise webob.exc.HTTPBadRequest(
            explanation=f"Invalid input for query parameter {name}: {parsed[name]!r} is not a time. "
            "Give it as ISO 8601 in UTC, for example 2026-01-31T12:00:00Z."
        ) from None
