# SPDX-License-Identifier: Apache-2.0
"""Lists that the cloud gives page by page."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib import parse


def url(path: str, query: dict[str, Any]) -> str:
    """Return a path with what has a value as its query; several values of a list one by one."""
    text = parse.urlencode({name: value for name, value in query.items() if value is not None}, doseq=True)
    return f"{path}?{text}" if text else path


def pages(
    get: Callable[[str], tuple[Any, dict[str, Any]]], path: str, query: dict[str, Any], key: str
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield the pages of a list, each asked for when it is needed; the next one is where the links of the last one say.

    Not base.Manager._list of novaclient: it writes shell-completion files to the home of whoever runs this, Horizon too.

    :param get: asks for a page; gives the response and its body
    :param key: of the list in the body, e.g. ``servers``
    """
    following: str | None = url(path, query)
    while following:
        response, body = get(following)
        yield response, body
        link = next((link["href"] for link in body.get(f"{key}_links", ()) if link["rel"] == "next"), None)
        # by our own endpoint: the one in the link may be another name of the cloud's
        following = f"{path}?{parse.urlsplit(link).query}" if link else None
