# SPDX-License-Identifier: Apache-2.0
"""Readers of the dashboard's pages."""

import re

from tests.unit.novaclient_colo.fake_cloud import actions, make_pair

INDEX = "/admin/fault_tolerance/"
PROJECT_INDEX = "/project/fault_tolerance/"
OTHER_PAGE = "/identity/"
# Requests to Keystone of every page of Horizon, for its header
HORIZONS_OWN = (
    "/identity/v3",
    "/identity/v3/users/admin/projects",
    "/identity/v3/users/demo/projects",
    "/identity/v3/domains/default",
)
#: Number of rows of a page.
PAGE = 20
REFUSED = actions(failover="There is no secondary. Free capacity on another host.")


def add(cloud, *args, **kwargs):
    pair = make_pair(*args, **kwargs)
    cloud.pairs[pair["server_id"]] = pair
    return pair


def text(answer):
    """Return the page without its markup, for sentences that span elements."""
    return " ".join(re.sub(r"<[^>]*>", " ", answer.content.decode()).split())


def row(answer, pair):
    html = answer.content.decode()
    return re.search(rf'<tr[^>]*id="fault_tolerance__row__{pair["server_id"]}".*?</tr>', html, re.S)[0]


def failover_url(pair):
    return f"{INDEX}{pair['server_id']}/failover/"


def messages(client):
    return " ".join(re.findall(r'<div class="alert .*?</div>', client.get(INDEX).content.decode(), re.S))


def called(cloud, act):
    cloud.requests.clear()
    act()
    return [path for _method, path in cloud.requests if path not in HORIZONS_OWN]
