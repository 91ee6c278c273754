# SPDX-License-Identifier: Apache-2.0
"""What the filter costs the database: counted below SQLAlchemy, on the filter itself."""

import json

import pytest
import sqlalchemy as sa
import webob
from nova.api.openstack import wsgi
from oslo_config import cfg

from nova_colo import conf as colo_conf
from nova_colo.api.filter import FaultToleranceFilter
from nova_colo.api.service import Service
from nova_colo.db import migration

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
    statements = []

    def note(connection, cursor, statement, *rest):
        if statement != "BEGIN":  # SQLite's bracket; MySQL's driver sends none
            statements.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        request = wsgi.Request.blank("/servers/detail")
        request.get_response(application)
        statements.clear()
        body = json.loads(wsgi.Request.blank("/servers/detail").get_response(application).body)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    assert len(body["servers"]) == 200
    assert all(server["OS-EXT-FT:ft_status"] == "not_ft" for server in body["servers"])
    assert len(statements) == 1, statements
