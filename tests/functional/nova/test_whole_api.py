# SPDX-License-Identifier: Apache-2.0
"""Every request of our API on real Nova: routing, contexts, locks, links and errors are what we rely on."""

import uuid

from nova_colo.pair.actions import ACTIONS
from tests.fixtures.api_description import check_answer
from tests.functional.nova.harness import OTHER_PROJECT, PROJECT, ColoTestCase

LIST = "/os-fault-tolerance/servers"
ARGUMENTS = {"ft-migrate-secondary": {"host": None}, "ft-set-mode": {"mode": "checkpoint"}}


class WholeApiTest(ColoTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.ft_server("h1")
        self.protect(self.server, "h2")
        self.path = f"/servers/{self.server['id']}/os-fault-tolerance"

    def checked(self, method, path, body=None, **kwargs):
        """Send a request and check its response against the API description."""
        answer = self.request(method, path, body, **kwargs)
        check_answer(method, path, answer.status_int, answer.content_type or "", answer.text)
        return answer

    def test_everything_that_reads(self):
        for user in ("admin", "reader"):
            for path in ("/os-fault-tolerance", LIST, "/os-fault-tolerance/hosts", self.path):
                for prefix in ("", f"/{PROJECT}"):
                    answer = self.checked("GET", prefix + path, user=user)
                    hidden = user == "reader" and path.endswith("/hosts")
                    self.assertEqual(403 if hidden else 200, answer.status_int)
                    self.assertEqual("compute 2.67", answer.headers["OpenStack-API-Version"])
            for history in ("checkpoints", "events"):
                self.assertEqual(200, self.checked("GET", f"{self.path}/{history}", user=user).status_int)
        (pair,) = self.request("GET", LIST, user="reader").json_body["servers"]
        self.assertEqual((self.server["id"], None), (pair["server_id"], pair["primary"]["host"]))
        (pair,) = self.request("GET", f"{LIST}?host=h2").json_body["servers"]
        self.assertEqual(("h1", "h2"), (pair["primary"]["host"], pair["secondary"]["host"]))

    def test_pages_are_linked_as_novas(self):
        other = self.ft_server("h1", name="a-second-one")
        self.add_pair(self.admin_api.get_server(other["id"]))
        page = self.checked("GET", f"/{PROJECT}{LIST}?limit=1").json_body
        novas = self.request("GET", f"/{PROJECT}/servers?limit=1").json_body
        ours, theirs = (answer["servers_links"][0]["href"].split("?")[0] for answer in (page, novas))
        self.assertEqual(theirs.removesuffix("/servers"), ours.removesuffix(LIST))
        rest = self.checked("GET", f"{LIST}?limit=1&marker={page['servers'][0]['server_id']}").json_body
        names = [answer["servers"][0]["name"] for answer in (page, rest)]
        self.assertEqual(["a-second-one", self.server["name"]], names)
        self.assertNotIn("servers_links", rest)

    def test_each_action_is_taken_up_or_refused_with_a_remedy(self):
        for action in ACTIONS:
            self.set_pair(self.server, operation_id=None, state="protected", wanted="protected")
            body = {action: ARGUMENTS.get(action)}
            answer = self.checked("POST", f"/servers/{self.server['id']}/action", body, user="manager")
            self.assertEqual(
                409 if action in ("ft-protect", "ft-resume") else 202, answer.status_int, answer.text
            )
            answer = self.checked("POST", f"/servers/{self.server['id']}/action", body, user="reader")
            self.assertEqual(403, answer.status_int)

    def test_nova_says_who_sees_a_server(self):
        for path in (self.path, f"{self.path}/checkpoints", f"{self.path}/events"):
            self.assertEqual(404, self.checked("GET", path, project=OTHER_PROJECT, user="manager").status_int)
        for id_ in (str(uuid.uuid4()), "detail", "nobody"):
            self.assertEqual(404, self.checked("GET", f"/servers/{id_}/os-fault-tolerance").status_int)
        answer = self.act(self.server["id"], {"failover": None}, project=OTHER_PROJECT, user="manager")
        self.assertEqual(404, answer.status_int)

    def test_novas_lock_holds_for_us_too(self):
        self.assertEqual(202, self.act(self.server["id"], {"lock": None}).status_int)
        refused = self.checked(
            "POST", f"/servers/{self.server['id']}/action", {"ft-suspend": None}, user="manager"
        )
        self.assertEqual(409, refused.status_int)
        self.assertIn("locked", refused.json_body["conflictingRequest"]["message"])
        self.assertEqual(202, self.act(self.server["id"], {"ft-suspend": None}).status_int)

    def test_a_plain_server_has_no_pair(self):
        plain = self.plain_server()
        for method, path, body in (
            ("GET", f"/servers/{plain['id']}/os-fault-tolerance", None),
            ("POST", f"/servers/{plain['id']}/action", {"failover": None}),
        ):
            refused = self.checked(method, path, body)
            self.assertEqual(400, refused.status_int)
            self.assertIn("ft:enabled", refused.json_body["badRequest"]["message"])

    def test_the_form_of_a_request_is_refused_in_novas_own_words(self):
        ours, novas = LIST, "/servers"
        for kwargs, status in (
            ({"version": "9.99"}, 406),
            ({"version": "two"}, 400),
            ({"headers": {"Content-Type": "text/xml"}}, 415),
        ):
            answer, theirs = self.request("GET", ours, **kwargs), self.request("GET", novas, **kwargs)
            self.assertEqual(
                (status, theirs.status_int, theirs.text), (answer.status_int, answer.status_int, answer.text)
            )
        answer, theirs = (self.request("GET", f"/{OTHER_PROJECT}{path}") for path in (ours, novas))
        self.assertEqual((400, theirs.text), (answer.status_int, answer.text))
