# SPDX-License-Identifier: Apache-2.0
"""The filter with its database and policy, in front of a small model of Nova's servers."""

import datetime
import itertools
import json
import uuid

import pytest
import webob
from nova import context as nova_context
from nova.api.openstack import wsgi
from oslo_config import cfg
from oslo_messaging import conffixture

from nova_colo import conf as colo_conf
from nova_colo.api.filter import FaultToleranceFilter
from nova_colo.api.service import Service
from nova_colo.db import hosts, migration, pairs
from nova_colo.pair.model import secondary_id

NOW = datetime.datetime(2026, 1, 31, 12)


class Api:
    """The API of a cloud whose pairs are rows added by the test."""

    def __init__(self, config_file):
        conf = colo_conf.load([], [str(config_file)], conf=cfg.ConfigOpts())
        migration.sync(conf.database.connection)
        self.service = Service(conf)
        self.database = self.service.database
        self.servers = {}
        self._application = FaultToleranceFilter(self._nova, lambda: self.service)
        self._numbers = itertools.count(1)

    def pair(self, **values):
        """Add an FT server and return its id.

        :param values: columns of its row, and ``locked``
        """
        return self.pairs([values])[0]

    def pairs(self, rows):
        """Add FT servers and return their ids."""
        rows = [self._row(**values) for values in rows]
        with self.database.writer() as session:
            for row in rows:
                pairs.add(session, **{name: value for name, value in row.items() if name != "locked"})
        self.servers |= {row["server_id"]: row for row in rows}
        return [row["server_id"] for row in rows]

    def _row(self, **values):
        number = next(self._numbers)
        server_id = str(uuid.UUID(int=number, version=4))
        row = {
            "server_id": server_id,
            "secondary_id": secondary_id(server_id),
            "name": f"web-{number:04}",
            "project_id": "ours",
            "user_id": "owner",
            "flavor": "ft.nano",
            "vcpus": 1,
            "memory_mb": 64,
            "disk_gb": 1,
            "server_status": "ACTIVE",
            "state": "protected",
            "health": "ok",
            "primary_host": "a",
            "primary_since": NOW,
            "secondary_host": "b",
            "secondary_since": NOW,
            "created_at": NOW,
            "locked": False,
            **values,
        }
        return {"nova_host": row["primary_host"], **row}

    def host(self, name, **values):
        """Add a host with an agent.

        :param values: columns of its row
        """
        with self.database.writer() as session:
            hosts.put(session, name, **values)

    def row(self, server_id):
        """Return a pair's row as a dict."""
        with self.database.reader() as session:
            return dict(pairs.get(session, server_id))

    def request(self, method, path, role="admin", project="ours", body=None, is_admin=None, **headers):
        """Send a request as a user with a role in a project, and return webob's response.

        :param is_admin: whether Nova takes the user for an administrator; by default one with the role admin
        """
        request = wsgi.Request.blank(path, method=method, base_url="http://cloud/v2.1", headers=headers)
        if body is not None:
            request.json_body = body
        roles = {
            "admin": ["admin"],
            "manager": ["manager", "member", "reader"],
            "member": ["member", "reader"],
        }
        request.environ["nova.context"] = nova_context.RequestContext(
            user_id=role,
            project_id=project,
            roles=roles.get(role, [role]),
            is_admin=role == "admin" if is_admin is None else is_admin,
            overwrite=False,
        )
        return request.get_response(self._application)

    def get(self, path, *args, **kwargs):
        """GET a path and return the decoded body of a 200."""
        response = self.request("GET", path, *args, **kwargs)
        assert response.status_int == 200, response.text
        return response.json_body

    def act(self, server_id, body, *args, **kwargs):
        """POST a server action."""
        return self.request("POST", f"/servers/{server_id}/action", *args, body=body, **kwargs)

    def _nova(self, environ, start_response):
        return self._answer(wsgi.Request(environ))(environ, start_response)

    def _answer(self, request):
        context = request.environ["nova.context"]
        row = self.servers.get(request.path_info.rsplit("/", 1)[-1])
        if row is None or not (context.is_admin or context.project_id == row["project_id"]):
            fault = {"itemNotFound": {"code": 404, "message": "Nova knows no such thing."}}
            return webob.Response(json.dumps(fault), 404, content_type="application/json", charset="UTF-8")
        server = {
            "id": row["server_id"],
            "tenant_id": row["project_id"],
            "user_id": row["user_id"],
            "locked": row["locked"],
            "flavor": {"extra_specs": {"ft:enabled": "1"}},
            "image": {"id": "an image", "properties": {"os_type": "linux"}},
        }
        return webob.Response(json_body={"server": server}, content_type="application/json", charset="UTF-8")


@pytest.fixture
def etc(tmp_path):
    """Return the folder of nova-colo.conf."""
    (tmp_path / "nova-colo.conf").write_text(f"[database]\nconnection = sqlite:///{tmp_path}/ft.db\n")
    return tmp_path


@pytest.fixture
def policy_file(etc):
    """Return the path of an operator's policy overrides."""
    return etc / "policy.yaml"


@pytest.fixture
def api(etc):
    if "transport_url" not in cfg.CONF:
        cfg.CONF([], default_config_files=[])
    with conffixture.ConfFixture(cfg.CONF) as messaging:
        messaging.transport_url = "fake:/"  # no engine receives the API's messages
        yield Api(etc / "nova-colo.conf")
