# SPDX-License-Identifier: Apache-2.0
"""Nova's own actions on FT servers: each has a rule in action_rules.py, and the filter enforces it."""

import json
import re

import fixtures
import nova.policies
import pytest
import sqlalchemy as sa
import webob
from nova.api.openstack import wsgi as nova_wsgi
from nova.api.openstack.compute import routes

from nova_colo.api import filter as colo_filter
from nova_colo.pair import action_rules
from nova_colo.pair.action_rules import OPERATION_HEADER, Effect
from nova_colo.pair.model import State, Wanted
from tests.fixtures.statements import collected
from tests.functional.nova.harness import OTHER_PROJECT, PROJECT, ROLES, ColoTestCase

VOLUME = "a07f71dc-8151-4e7d-a0cc-cd24a3f11113"
PORT = "ce531f90-199f-48c0-816c-13e38010b442"
REFUSED_ACTIONS = {
    "pause": None,
    "suspend": None,
    "migrate": None,
    "os-migrateLive": {"host": None, "block_migration": "auto"},
    "evacuate": {"host": "h3"},
    "resize": {"flavorRef": "1"},
    "createImage": {"name": "snap"},
    "createBackup": {"name": "b", "backup_type": "daily", "rotation": 1},
    "rescue": None,
}
REFUSED_REQUESTS = [
    ("POST", "os-volume_attachments", {"volumeAttachment": {"volumeId": VOLUME}}),
    ("PUT", f"os-volume_attachments/{VOLUME}", {"volumeAttachment": {"volumeId": VOLUME}}),
    ("DELETE", f"os-volume_attachments/{VOLUME}", None),
    ("POST", "os-interface", {"interfaceAttachment": {"port_id": PORT}}),
    ("DELETE", f"os-interface/{PORT}", None),
    ("POST", "shares", {"share": {"share_id": VOLUME}}),
    ("DELETE", f"shares/{VOLUME}", None),
]
#: Requests below a server that do not change its guest; all others must be routes of ours.
HARMLESS = {
    "/servers/{}",
    "/servers/{}/consoles",
    "/servers/{}/consoles/{}",
    "/servers/{}/metadata",
    "/servers/{}/metadata/{}",
    "/servers/{}/os-server-password",
    "/servers/{}/remote-consoles",
    "/servers/{}/tags",
    "/servers/{}/tags/{}",
}


def plain(path):
    return path.replace("{server_id}", "{}").replace("{id}", "{}")


@pytest.mark.surface
class TableTest(ColoTestCase):
    """Fails for a release of Nova with a new action: decide what it does to a pair, and add a rule."""

    host_names = ()

    def test_every_action_of_nova_is_in_the_table(self):
        of_nova = set()
        for path, methods in routes.ROUTE_LIST:
            if plain(path) in ("/servers/{}/action", "/os-volumes_boot/{}/action"):
                of_nova |= set(methods["POST"][0]().wsgi_actions)
        self.assertEqual(set(), of_nova - set(action_rules.ACTIONS))

    def test_every_path_that_changes_a_server_is_guarded(self):
        guarded = {(method, plain(path)) for _, method, path, *_ in colo_filter.ROUTES}
        for path, methods in routes.ROUTE_LIST:
            if path.startswith("/servers/{") and plain(path) not in HARMLESS:
                self.assertEqual(
                    set(), {(method, plain(path)) for method in methods if method != "GET"} - guarded
                )

    def test_the_policies_are_novas(self):
        """Compared with those of the newest release: an older one may have fewer."""
        known = {rule.name for rule in nova.policies.list_rules()}
        for name, rule in [*action_rules.ACTIONS.items(), *action_rules.REQUESTS.items()]:
            if name not in ("resetNetwork", "os-getRDPConsole"):
                self.assertTrue(known & set(rule.policies), f"{name}: {rule.policies}")


class GuardTest(ColoTestCase):
    host_names = ("h1", "h2")

    def setUp(self):
        super().setUp()
        self.server = self.ft_server("h1")
        self.protect(self.server, "h2")

    def request_on(self, server, method, path, body=None, **kwargs):
        return self.request(method, f"/servers/{server['id']}/{path}", body, **kwargs)

    def assert_refused(self, answer, rule):
        self.assertEqual(409, answer.status_int, answer.text)
        expected = {
            "code": 409,
            "message": str(rule.refused),
            "details": {"code": rule.refused.code, "params": {}},
        }
        self.assertEqual(expected, answer.json["conflictingRequest"])
        self.assertEqual("compute 2.67", answer.headers["OpenStack-API-Version"])

    def assert_as_stock(self, method, path, body, **kwargs):
        """Assert that the response is Nova's own, byte for byte."""
        ours, stock = (self.request(method, path, body, stock=stock, **kwargs) for stock in (False, True))
        self.assertEqual((stock.status, stock.body), (ours.status, ours.body))
        volatile = ("date", "x-compute-request-id", "x-openstack-request-id")
        headers = [
            sorted((name, value) for name, value in answer.headerlist if name.lower() not in volatile)
            for answer in (ours, stock)
        ]
        self.assertEqual(headers[1], headers[0])
        return ours

    def test_what_the_secondary_cannot_follow_is_refused_with_a_remedy(self):
        self.assertEqual(
            {name for name, rule in action_rules.ACTIONS.items() if rule.refused}, set(REFUSED_ACTIONS)
        )
        for name, arguments in REFUSED_ACTIONS.items():
            self.assert_refused(self.act(self.server["id"], {name: arguments}), action_rules.ACTIONS[name])
        refused = [rule for rule in action_rules.REQUESTS.values() if rule.refused]
        self.assertEqual(len(refused), len(REFUSED_REQUESTS))
        for rule, (method, path, body) in zip(refused, REFUSED_REQUESTS, strict=True):
            self.assert_refused(self.request_on(self.server, method, path, body), rule)
        self.assertEqual(("ACTIVE", None, "h1"), self.nova_record(self.server))

    def test_the_other_name_of_the_servers_path_is_no_way_around(self):
        for name in ("resize", "createImage"):
            answer = self.request(
                "POST", f"/os-volumes_boot/{self.server['id']}/action", {name: REFUSED_ACTIONS[name]}
            )
            self.assert_refused(answer, action_rules.ACTIONS[name])

    def test_the_legacy_endpoint_and_a_wrong_microversion_are_no_way_around(self):
        request = webob.Request.blank(f"/v2/servers/{self.server['id']}/action/", method="POST")
        request.headers.update(
            {"X-Auth-User": "admin", "X-Auth-Project-Id": self.server["tenant_id"], "X-Roles": ROLES["admin"]}
        )
        request.headers["OpenStack-API-Version"] = "compute 9.99"
        request.json_body, request.content_type = {"pause": None}, "application/json"
        self.assertEqual(409, request.get_response(self.api_fixture.app()).status_int)

    def test_what_changes_no_guest_passes(self):
        self.assertEqual(202, self.act(self.server["id"], {"lock": None}).status_int)
        self.assertEqual(202, self.act(self.server["id"], {"unlock": None}).status_int)
        self.assertEqual(
            200, self.request_on(self.server, "POST", "metadata", {"metadata": {"a": "b"}}).status_int
        )
        self.assertEqual(201, self.request_on(self.server, "PUT", "tags/blue").status_int)
        renamed = self.request("PUT", f"/servers/{self.server['id']}", {"server": {"name": "other"}})
        self.assertEqual("other", renamed.json["server"]["name"])

    def test_a_protected_server_is_stopped_rebuilt_and_deleted(self):
        self.assertEqual(202, self.act(self.server["id"], {"reboot": {"type": "HARD"}}).status_int)
        self._wait_for_server_parameter(self.server, {"OS-EXT-STS:task_state": None})
        self.assertEqual(202, self.act(self.server["id"], {"os-stop": None}).status_int)
        self._wait_for_state_change(self.server, "SHUTOFF")
        self.assertEqual(204, self.request("DELETE", f"/servers/{self.server['id']}").status_int)
        self._wait_until_deleted(self.server)

    def test_without_a_secondary_a_server_is_like_any_other(self):
        self.set_pair(self.server, secondary_host=None, state=State.DEGRADED)
        self.assertEqual(202, self.act(self.server["id"], {"createImage": {"name": "snap"}}).status_int)
        self._wait_for_server_parameter(self.server, {"OS-EXT-STS:task_state": None})
        attach = self.request_on(self.server, "POST", *REFUSED_REQUESTS[0][1:])
        self.assert_refused(attach, action_rules.REQUESTS["attach volume"])
        self.set_pair(self.server, wanted=Wanted.UNPROTECTED, state=State.UNPROTECTED)
        self.assertEqual(200, self.request_on(self.server, "POST", *REFUSED_REQUESTS[0][1:]).status_int)

    def test_nothing_but_its_deletion_and_repair_reaches_a_server_that_is_failing_over(self):
        for moving in ({"state": State.FAILING_OVER}, {"state": State.DEGRADED, "primary_host": "h2"}):
            self.set_pair(self.server, **moving)
            for name, rule in action_rules.ACTIONS.items():
                answer = self.act(self.server["id"], {name: REFUSED_ACTIONS.get(name)}, version="2.1")
                refused = (
                    answer.status_int == 409 and "failover" in answer.text and "Wait until" in answer.text
                )
                self.assertEqual(
                    rule.effect != Effect.NONE and bool(rule.policies), refused, f"{name}: {answer.text}"
                )
                if name == "forceDelete":
                    break
        self.assertEqual(409, self.request_on(self.server, "DELETE", "migrations/1").status_int)

    def test_the_engines_own_requests_pass_in_the_name_of_their_operation_only(self):
        body = {"os-migrateLive": {"host": "nowhere", "block_migration": "auto"}}
        self.set_pair(
            self.server, state=State.FAILING_OVER, operation_id="1f6c1a52-8d6f-44c5-a7b2-6f5b2b2f4c11"
        )
        for header in (None, "", "another"):
            headers = {} if header is None else {OPERATION_HEADER: header}
            self.assertEqual(409, self.act(self.server["id"], body, headers=headers).status_int)
        headers = {OPERATION_HEADER: "1f6c1a52-8d6f-44c5-a7b2-6f5b2b2f4c11"}
        answer = self.act(self.server["id"], body, headers=headers)
        self.assertEqual(400, answer.status_int)
        self.assertIn("nowhere", answer.json["badRequest"]["message"])
        self.assertEqual(
            409, self.act(self.server["id"], {"os-stop": None}, user="member", headers=headers).status_int
        )

    def test_what_cannot_be_checked_is_refused_if_it_could_break_the_pair(self):
        self.useFixture(fixtures.MockPatchObject(action_rules, "refusal", side_effect=ZeroDivisionError))
        self.assertEqual(503, self.act(self.server["id"], {"pause": None}).status_int)
        self.assertEqual(202, self.act(self.server["id"], {"lock": None}).status_int)

    def test_who_may_not_do_it_hears_novas_own_answer(self):
        path = f"/servers/{self.server['id']}/action"
        # the release's default policies; Nova's fixtures still use its deprecated rules
        self.policy.set_rules({"os_compute_api:os-pause-server:pause": "role:member"}, overwrite=False)
        self.assertEqual(403, self.assert_as_stock("POST", path, {"pause": None}, user="reader").status_int)
        self.assertEqual(403, self.assert_as_stock("POST", path, {"migrate": None}, user="member").status_int)
        other = self.assert_as_stock("POST", path, {"pause": None}, user="member", project=OTHER_PROJECT)
        self.assertEqual(404, other.status_int)
        self.assertEqual(409, self.act(self.server["id"], {"pause": None}, user="member").status_int)

    def test_other_servers_actions_are_novas_byte_for_byte_for_one_statement(self):
        server = self.plain_server(host="h1")
        path = f"/servers/{server['id']}/action"
        for body in (
            {"unpause": None},
            {"rescue": 1},
            {"fall-over": None},
            {"pause": None, "lock": None},
            ["pause"],
            b"{pause",
        ):
            self.assert_as_stock("POST", path, body)
        self.assert_as_stock(
            "POST", f"/servers/{server['id']}/os-interface", {"interfaceAttachment": {"port_id": "x"}}
        )
        with collected(self.folder / "ft.db") as statements:
            self.assertEqual(202, self.act(server["id"], {"pause": None}).status_int)
            self.assertEqual(1, len(statements), statements)
            self.request("GET", f"/servers/{server['id']}/os-interface")
            self.act(server["id"], {"os-getConsoleOutput": {}})
            self.assertEqual(1, len(statements), statements)


class WithoutDatabaseTest(ColoTestCase):
    host_names = ("h1",)

    def setUp(self):
        super().setUp()
        self.servers = {"ft": self.ft_server("h1"), "plain": self.plain_server(host="h1")}
        self.add_pair(self.servers["ft"], secondary_host="h2", state=State.PROTECTED)
        with self.database.writer() as session:
            session.execute(sa.text("ALTER TABLE pairs RENAME TO away"))

    def test_only_what_would_break_a_pair_is_refused(self):
        refused = self.act(self.servers["ft"]["id"], {"pause": None})
        self.assertEqual(503, refused.status_int, refused.text)
        self.assertIn("Try again", refused.json["serviceUnavailable"]["message"])
        self.assertEqual(202, self.act(self.servers["ft"]["id"], {"os-stop": None}).status_int)
        self.assertEqual(202, self.act(self.servers["plain"]["id"], {"pause": None}).status_int)

    def test_a_policy_that_hides_extra_specs_does_not_hide_the_pair(self):
        self.policy.set_rules(
            {"os_compute_api:servers:show:flavor-extra-specs": "role:admin"}, overwrite=False
        )
        self.assertEqual(503, self.act(self.servers["ft"]["id"], {"pause": None}, user="member").status_int)

    def test_the_legacy_endpoint_is_no_way_around(self):
        for name, expected in (("ft", 503), ("plain", 202)):
            request = webob.Request.blank(f"/v2/servers/{self.servers[name]['id']}/action", method="POST")
            request.headers.update(
                {"X-Auth-User": "admin", "X-Auth-Project-Id": self.servers[name]["tenant_id"]}
            )
            request.headers["X-Roles"] = ROLES["admin"]
            request.body, request.content_type = json.dumps({"pause": None}).encode(), "application/json"
            self.assertEqual(expected, request.get_response(self.api_fixture.app()).status_int)


def disguises(method, path):
    """Yield what Nova may take for a request: method, path, headers, and a body that is no JSON, or None."""
    for real in ("GET", "PUT", "POST", "DELETE", "OPTIONS", "WHATEVER"):
        yield real, f"{path}?_method={method}", {}, None
        yield real, f"{path}?a=b&_method={method.lower()}", {}, None
        yield real, f"{path}?%5Fmethod={method}", {}, None
        yield real, f"{path}?_method={method}&_method=GET", {}, None
        yield real, path, {"X-HTTP-Method-Override": method}, None
    yield "POST", path, {"Content-Type": "application/x-www-form-urlencoded"}, f"_method={method}".encode()
    yield method, f"{path}?_method=", {}, None
    for other in (
        f"{path}/",
        f"{path}//",
        f"/{path}",
        f"{path}%0A",
        f"{path}%20",
        f"{path}%00",
        f"{path}.json",
        f"{path};x",
        path.replace("/servers", "//servers", 1),
        path.replace("/servers", "/./servers", 1),
        path.replace("/servers", "/x/../servers", 1),
        path.replace("/servers", "/%73ervers", 1),
        path.replace("/servers", "/Servers", 1),
        path.replace("-", "%2D"),
        re.sub("[0-9a-f-]{36}", lambda uuid: uuid[0].upper(), path),
        f"/{PROJECT}{path}",
        f"/{OTHER_PROJECT}{path}",
        f"/{PROJECT}/{path}",
    ):
        yield method, other, {}, None
    yield method, path.replace("/servers", "/os-volumes_boot", 1), {}, None
    for content_type in ("text/plain", "application/vnd.openstack.compute+json", "application/xml", ""):
        yield method, path, {"Content-Type": content_type}, None


class DisguiseTest(ColoTestCase):
    """Each request that the filter refuses is sent in many disguises, to a stock Nova and to ours."""

    def setUp(self):
        super().setUp()
        self.server = self.ft_server()
        self.protect(self.server, "h2")
        self.reached = []
        self.useFixture(fixtures.MockPatchObject(nova_wsgi.Resource, "dispatch", self.dispatch))

    def dispatch(self, method, request, action_args):
        """Note which method of Nova a request has reached, and do nothing."""
        self.reached.append(method.__qualname__)

    def reaches(self, method, path, body, headers, raw, base, stock):
        """Send a request, and return the methods of Nova that it has reached."""
        request = webob.Request.blank(base + path, method=method)
        request.headers.update(
            {"X-Auth-User": "admin", "X-Auth-Project-Id": PROJECT, "X-Roles": ROLES["admin"]}
        )
        request.headers["OpenStack-API-Version"] = "compute 2.97"
        request.body = raw or json.dumps(body).encode()
        request.content_type = "application/json"
        request.headers.update(headers)
        self.reached.clear()
        request.get_response(self.stock_app if stock else self.api_fixture.app())
        return list(self.reached)

    def test_what_is_refused_is_refused_in_any_disguise(self):
        server_path = f"/servers/{self.server['id']}"
        requests = [
            *(("POST", f"{server_path}/action", {name: body}) for name, body in REFUSED_ACTIONS.items()),
            *((method, f"{server_path}/{path}", body) for method, path, body in REFUSED_REQUESTS),
        ]
        tried, guarded = 0, set()
        for method, path, body in requests:
            plain_request = (method, path, body, {}, None, "/v2.1")
            (target,) = self.reaches(*plain_request, stock=True)
            self.assertEqual([], self.reaches(*plain_request, stock=False), (method, path))
            guarded.add(target)
            for disguise in disguises(method, path):
                for base in ("/v2.1", "/v2"):
                    seen = (*disguise[:2], body, *disguise[2:], base)
                    if target in self.reaches(*seen, stock=True):
                        tried += 1
                        self.assertNotIn(target, self.reaches(*seen, stock=False), seen)
        self.assertGreater(tried, 10 * len(requests))
        self.assertEqual(len(requests), len(guarded))
