# SPDX-License-Identifier: Apache-2.0
"""Links in responses, as in Nova's: with [api] compute_link_prefix, and with the request's project id."""

from collections.abc import Mapping
from typing import Any
from urllib import parse

from nova.api.openstack import common, wsgi


class _Links(common.ViewBuilder):
    """Nova's view builder, for its rules on the beginning of a link."""

    def to(self, request: wsgi.Request, collection: str, member: str) -> str:
        """Return the link to a member of a collection."""
        return str(self._get_href_link(request, member, collection))


def server(request: wsgi.Request, server_id: str) -> list[dict[str, str]]:
    """Return the links of a server."""
    return [{"rel": "self", "href": _Links().to(request, "servers", server_id)}]


def next_page(
    request: wsgi.Request, path: tuple[str, str], parsed: Mapping[str, Any], marker: str | int
) -> list[dict[str, str]]:
    """Return the links of a page that is not the last.

    :param path: the path of the list, split before its last part
    :param parsed: the query of this page
    :param marker: the last item of this page
    """
    query = parse.urlencode({**parsed, "marker": marker}, doseq=True)
    return [{"rel": "next", "href": f"{_Links().to(request, *path)}?{query}"}]
