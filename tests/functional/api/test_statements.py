# SPDX-License-Identifier: Apache-2.0
"""Number of SQL statements of the filter, counted below SQLAlchemy."""

import json

import pytest
import webob
from nova.api.openstack import wsgi
from oslo_config import cfg

from nova_colo import conf as colo_conf
from nova_colo.api.filter import FaultToleranceFilter
from nova_colo.api.service import Service
from nova_colo.db import migration
from tests.fixtures.statements import collected

SERVERS = [{"id": f"{number:08x}-0000-4000-8000-000000000000", "name": f"s{number}"} for number in range(200)]


@pytest.fixture
def application(tmp_path):
    connection = f"sqlite:///{tmp_path}/ft.db"
    migration.sync(connection)
    conf = colo_conf.load([], [], conf=cfg.ConfigOpts())
    conf.set_override("connection", connection, group="database")
    if "transport_url" not in cfg.CONF:
        cfg.CONF([], default_config_files=[])

    @webob.dec.wsgify
    def nova(request):
        return webob.Response(json_body={"servers": SERVERS}, content_type="application/json")

    return FaultToleranceFilter(nova, lambda: Service(conf))


def test_a_list_of_200_servers_costs_one_statement(application):
    wsgi.Request.blank("/servers/detail").get_response(application)
    with collected() as sent:
        body = json.loads(wsgi.Request.blank("/servers/detail").get_response(application).body)
    assert len(body["servers"]) == 200
    assert all(server["OS-EXT-FT:ft_status"] == "not_ft" for server in body["servers"])
    assert len(sent) == 1, sent
