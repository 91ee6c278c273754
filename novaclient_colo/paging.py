# SPDX-License-Identifier: Apache-2.0
"""Lists that the API returns in pages."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib import parse


def url(path: str, query: dict[str, Any]) -> str:
    """Return a path with a query of the parameters that are not None; lists become repeated parameters."""
    text = parse.urlencode({name: value for name, value in query.items() if value is not None}, doseq=True)
    return f"{path}?{text}" if text else path


def pages(
    get: Callable[[str], tuple[Any, dict[str, Any]]], path: str, query: dict[str, Any], key: str
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield the pages of a list, each requested when it is needed, following the links to next pages.

    novaclient's base.Manager._list is not used: it writes shell-completion files to the home directory of the
    process's user, in Horizon too.

    :param get: requests a page; returns the response and its body
    :param key: of the list in the body, e.g. ``servers``
    """
    following: str | None = url(path, query)
    while following:
        response, body = get(following)
        yield response, body
        link = next((link["href"] for link in body.get(f"{key}_links", ()) if link["rel"] == "next"), None)
        # by this client's endpoint: the one in the link may be another of the cloud's
        following = f"{path}?{parse.urlsplit(link).query}" if link else None
