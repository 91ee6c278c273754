# SPDX-License-Identifier: Apache-2.0
"""Nova's own responses with and without the filter are equal, byte for byte."""

import dataclasses
import http.client
import json
import re
import urllib.parse

import pytest

from lab.core.patience import patient
from tests.fixtures.cloud import wait_for

#: These differ from response to response.
VOLATILE = ("date", "x-compute-request-id", "x-openstack-request-id")
UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
PASSWORD = re.compile(rb'"adminPass": "[^"]*"')
#: Nova's services update these every few seconds, so also between two responses.
REPORTED_AT = re.compile(rb'"updated_at": "[^"]*"')
JSON = {"Content-Type": "application/json"}
NOBODY = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
VERSIONS = ("2.1", "2.30", "2.37", "2.67", "2.96", "latest")


@dataclasses.dataclass(frozen=True)
class Case:
    """A request. {ft}, {plain}, {project}, {image} and {flavor} in its path and body are replaced by ids.

    :param path: relative to the host, unescaped
    :param user: the user whose token is sent; None for no token
    """

    method: str
    path: str
    body: bytes | None = None
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    user: str | None = "admin"

    def __str__(self):
        extra = " ".join(
            f"{name}={value[:24]}" for name, value in self.headers.items() if self.headers != JSON
        )
        said = (self.body or b"")[:48].decode(errors="replace")
        return " ".join(
            filter(
                None, (self.method, self.path, said, extra, "" if self.user == "admin" else str(self.user))
            )
        )


def at(version, **more):
    return {"OpenStack-API-Version": f"compute {version}", **more}


def acts(body, server="{plain}", **kwargs):
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Case("POST", f"/v2.1/servers/{server}/action", sent, **{"headers": JSON, **kwargs})


READS = [
    *(
        Case("GET", path, headers=at(version))
        for version in VERSIONS
        for path in ("/v2.1/servers?all_tenants=1", "/v2.1/flavors/detail")
    ),
    *(
        Case("GET", f"/v2.1/{path}")
        for path in ("", "extensions", "limits", "os-services", "os-hypervisors", "servers/{plain}/metadata")
    ),
    *(
        Case("GET", f"/v2.1/servers/{{ft}}/{path}")
        for path in ("os-interface", "os-volume_attachments", "os-instance-actions", "ips")
    ),
    *(
        Case("GET", f"/v2.1/os-simple-tenant-usage{path}start=2020-01-01T00:00:00&end=2020-01-02T00:00:00")
        for path in ("?", "/{project}?")
    ),
    *(
        Case("GET", path, user=None)
        for path in ("/", "/v2", "/v2.1/", "/v2.1/servers", "/v2.1/servers/{ft}/action")
    ),
    Case("GET", "/v2/servers?all_tenants=1"),
    Case("GET", "/v2.1/{project}/servers?all_tenants=1&limit=1"),
    Case("GET", "/v2.1/servers?limit=1&marker={ft}"),
    Case("GET", "/v2.1/servers", user="demo"),
]
ERRORS = [
    *(
        Case("GET", f"/v2.1/servers/{name}")
        for name in ("nobody", NOBODY, "6ba7b811-9dad-51d1-80b4-00c04fd430c8", "%FF", "a%2Fb")
    ),
    *(
        Case("GET", f"/v2.1/{path}")
        for path in ("os-fault-tolerances", "//servers", "servers/{ft}/nothing", "nothing")
    ),
    *(
        Case("GET", f"/v2.1/servers/detail?{query}", headers=at("latest"))
        for query in ("limit=x", "nothing=1", "marker=x")
    ),
    *(Case("GET", "/v2.1/servers/detail", headers=at(version)) for version in ("9.99", "1.0", "x", "2")),
    *(
        Case("GET", f"/v2.1/os-simple-tenant-usage{rest}")
        for rest in ("?start=x", "?start=2030-01-01T00:00:00", "/{project}?end=0")
    ),
    Case("GET", "/v2.1/servers/detail", headers={"X-OpenStack-Nova-API-Version": "9.99"}),
    Case("GET", "/v2.1/servers/detail", headers={"OpenStack-API-Version": "compute " + "9" * 5000}),
    Case("GET", "/v2.1/00000000000000000000000000000000/servers/detail"),
    Case("GET", "/v2.1/servers/{ft}", user="outsider"),
    Case("GET", "/v2.1/servers/detail?all_tenants=1", user="demo"),
    Case("GET", "/v2.1/servers/detail", headers={"X-Auth-Token": "wrong"}, user=None),
    *(
        Case(method, path)
        for method in ("HEAD", "OPTIONS", "PUT", "DELETE", "PATCH")
        for path in ("/v2.1/servers", "/v2.1/servers/detail")
    ),
    *(Case(method, "/v2.1/servers/{ft}/action") for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")),
    *(Case(method, "/v2.1/os-fault-tolerance/servers") for method in ("DELETE", "PUT", "OPTIONS")),
    Case(
        "OPTIONS",
        "/v2.1/servers",
        headers={"Origin": "http://elsewhere", "Access-Control-Request-Method": "POST"},
    ),
]
ACTIONS = [
    *(
        acts(body)
        for body in (
            b"{broken",
            b"",
            b"null",
            b"[]",
            b"{}",
            b'"pause"',
            b"7",
            b'{"pause"',
            b"\xff\xfe",
            b'{"lock": null, "lock": 1}',
        )
    ),
    *(acts({name: None}, server="{ft}") for name in ("fall-over", "Pause", "", "resetNetwork")),
    acts(b"", server="{ft}"),
    acts(["failover"], server="{ft}"),
    acts({"failover": None, "lock": None}, server="{ft}"),
    acts({"pause": None, "lock": None}, server="{ft}"),
    *(
        acts({name: None})
        for name in (
            "unpause",
            "resume",
            "unrescue",
            "unshelve",
            "restore",
            "confirmResize",
            "revertResize",
            "os-start",
        )
    ),
    *(
        acts({name: body})
        for name, body in {
            "resize": {},
            "rebuild": 7,
            "createImage": {"name": ""},
            "evacuate": {"x": 1},
        }.items()
    ),
    *(acts({"resize": {"flavorRef": ref}}) for ref in ("nothing", 7, "", {"id": 1}, "http://x/{flavor}")),
    acts({"os-migrateLive": {"host": "nowhere", "block_migration": "auto"}}, headers={**JSON, **at("2.67")}),
    *(acts({"pause": None}, server=server) for server in (NOBODY, "nobody", "detail")),
    *(acts({"pause": None}, server="{ft}", user=user) for user in ("viewer", "outsider", None)),
    *(acts({"migrate": None}, server="{ft}", user=user) for user in ("demo", "viewer")),
    acts({"pause": None}, server="{ft}", headers={**JSON, **at("9.99")}),
    acts({"pause": None}, server="{ft}", headers={"Content-Type": "application/xml"}),
    acts({"unpause": None}, headers={"Content-Type": "text/plain"}),
    acts({"unpause": None}, headers={}),
    *(acts({name: None}) for name in ("lock", "unlock")),
    acts({"os-getConsoleOutput": {}}, server="{ft}"),
    *(
        Case("POST", path, b'{"unpause": null}', JSON)
        for path in ("/v2/servers/{plain}/action", "/v2.1/{project}/servers/{plain}/action/")
    ),
    Case("POST", "/v2.1/servers/{plain}/action//", b'{"unpause": null}', JSON),
    Case("POST", "/v2.1/os-volumes_boot/{plain}/action", b'{"os-start": null}', JSON),
    Case("POST", "/v2.1/servers/{ft}/os-interface", b'{"interfaceAttachment": {}}', JSON, user="viewer"),
    Case("POST", "/v2.1/servers/{plain}/os-volume_attachments", b'{"volumeAttachment": {}}', JSON),
    Case("DELETE", f"/v2.1/servers/{{plain}}/os-interface/{NOBODY}"),
    Case("DELETE", "/v2.1/servers/{plain}/migrations/7", headers=at("2.67")),
    Case("PUT", "/v2.1/servers/{ft}", b'{"server": {"name": ""}}', JSON),
    Case("PUT", "/v2.1/servers/{plain}/tags", b'{"tags": []}', {**JSON, **at("2.67")}),
    Case("DELETE", "/v2.1/servers/{plain}/tags/blue", headers=at("2.67")),
    Case("POST", "/v2.1/servers/{ft}/metadata", b'{"metadata": {"a": 7}}', JSON),
]
SERVER = b'{"server": {"name": "pt", "imageRef": "{image}", "flavorRef": "{flavor}"%s}}'
CREATES = [
    *(
        Case("POST", f"/v2.1/{path}", body, JSON)
        for path in ("servers", "os-volumes_boot")
        for body in (b"{broken", b"null", b"[]", b'{"server": 7}')
    ),
    Case("POST", "/v2.1/servers", None),
    Case("POST", "/v2.1/servers", SERVER % b', "nothing": 1', JSON),
    Case("POST", "/v2.1/servers", SERVER % b', "networks": "none"', JSON),
    Case("POST", "/v2.1/servers", SERVER % b', "networks": "none"', JSON, user="viewer"),
    Case("POST", "/v2.1/servers", SERVER % b', "networks": 7', {**JSON, **at("2.67")}),
    Case("POST", "/v2.1/servers", (SERVER % b"").replace(b"{flavor}", b"nothing"), JSON),
    Case("POST", "/v2.1/servers", (SERVER % b"").replace(b"{image}", NOBODY.encode()), JSON),
    Case("POST", "/v2.1/servers", SERVER % b"", {"Content-Type": "text/html"}),
    Case("POST", "/v2.1/servers", SERVER % b"", JSON, user=None),
    Case("POST", "/v2.1/servers", SERVER % (b', "user_data": "' + b"x" * 150_000 + b'"'), JSON),
]
MADE = [
    Case("POST", path, SERVER % b', "networks": "none"', {**JSON, **at("2.67")}, user="demo")
    for path in ("/v2.1/servers", "/v2.1/{project}/servers")
]
WITH_OURS = [
    Case("GET", path, headers=headers, user=user)
    for headers in (at("2.1"), at("2.67"), at("latest"))
    for path in (
        "/v2.1/servers/detail?sort_key=uuid&limit=2",
        "/v2.1/servers/detail?name=web",
        "/v2.1/servers/{ft}",
        "/v2.1/servers/{plain}",
    )
    for user in ("demo", "viewer")
] + [
    *(
        Case("GET", path)
        for path in ("/v2/servers/detail?all_tenants=1", "/v2/servers/{plain}", "/v2.1/servers//{ft}")
    ),
    *(
        Case("GET", f"/v2.1/servers/detail?{query}")
        for query in ("all_tenants=1&status=ACTIVE", "host=nowhere", "all_tenants=1&limit=1")
    ),
    Case("GET", "/v2.1/servers/detail?all_tenants=1", headers={"X-Padding": "x" * 30000}),
    Case("GET", "/v2.1/servers/detail?all_tenants=1", headers=at("")),
]


class Endpoint:
    """A nova-api, with a persistent connection to it."""

    def __init__(self, url, cloud, names):
        self.netloc = urllib.parse.urlsplit(url).netloc
        self._connection = http.client.HTTPConnection(self.netloc, timeout=patient(60))
        self._cloud, self._names = cloud, names

    def send(self, case):
        """Return status, headers and body of a response; addresses, request ids and times are masked."""
        headers = {"Accept": "application/json", **case.headers}
        if case.user:
            headers["X-Auth-Token"] = self._cloud.token(case.user)
        project = self._cloud.project_id(case.user or "demo") if "{project}" in case.path else ""
        path, body = case.path.replace("{project}", project), case.body
        for name, value in self._names.items():
            path = path.replace(f"{{{name}}}", value)
            body = body and body.replace(f"{{{name}}}".encode(), value.encode())
        self._connection.request(case.method, path, body, headers)
        response = self._connection.getresponse()
        said = response.read().replace(self.netloc.encode(), b"NOVA")
        if path.endswith("/os-services"):
            said = REPORTED_AT.sub(b"", said)
        request_id = response.getheader("x-openstack-request-id")
        if request_id:
            said = said.replace(request_id.encode(), b"REQUEST")
        kept = [
            (name, value.replace(self.netloc, "NOVA"))
            for name, value in response.getheaders()
            if name.lower() not in VOLATILE
        ]
        return response.status, kept, said


@pytest.fixture(scope="module")
def endpoints(cloud, stock_url):
    """Return the nova-api with the filter, and the one without."""
    names = {"ft": cloud.protected("web-1")["server_id"], "plain": cloud.server("plain-1")["id"]}
    names["image"] = cloud.sdk.image.find_image("cirros", ignore_missing=False).id
    names["flavor"] = cloud.sdk.compute.find_flavor("m1.nano", ignore_missing=False).id
    return Endpoint(cloud.compute, cloud, names), Endpoint(stock_url, cloud, names)


@pytest.mark.parametrize("case", READS + ERRORS + ACTIONS + CREATES, ids=str)
def test_byte_for_byte(endpoints, case):
    ours, stock = (endpoint.send(case) for endpoint in endpoints)
    assert ours == stock


@pytest.mark.parametrize("case", MADE, ids=str)
def test_a_server_is_made_alike(endpoints, cloud, case):
    """Except for its id and its password."""
    answers = [endpoint.send(case) for endpoint in endpoints]
    try:
        ours, stock = ((status, _masked(headers), _mask(body)) for status, headers, body in answers)
        assert ours == stock
        assert ours[0] == 202
    finally:
        made = [json.loads(body)["server"]["id"] for status, _, body in answers if status == 202]
        for server_id in made:
            assert cloud.request("DELETE", f"/servers/{server_id}").status_code == 204
        for server_id in made:
            wait_for(
                "it is gone",
                60,
                lambda gone=server_id: cloud.request("GET", f"/servers/{gone}").status_code == 404,
            )


def _mask(body):
    return PASSWORD.sub(b"", UUID.sub(b"ID", body))


def _masked(headers):
    return [(name, _mask(value.encode())) for name, value in headers]


@pytest.mark.parametrize("case", WITH_OURS, ids=str)
def test_nothing_but_our_attributes_is_added(endpoints, case):
    (status, headers, body), stock = (endpoint.send(case) for endpoint in endpoints)
    shown = json.loads(body)
    for server in shown["servers"] if "servers" in shown else [shown["server"]]:
        assert server.pop("OS-EXT-FT:ft_status") in ("primary", "missing_secondary", "not_ft")
        assert ("OS-EXT-FT:ft_relations" in server) == ("server" in shown)
        server.pop("OS-EXT-FT:ft_relations", None)
    without_ours = json.dumps(shown).encode()
    assert (status, _other_than_length(headers), without_ours) == (
        stock[0],
        _other_than_length(stock[1]),
        stock[2],
    )


def _other_than_length(headers):
    return sorted(header for header in headers if header[0] != "Content-Length")
