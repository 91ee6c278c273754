# SPDX-License-Identifier: Apache-2.0
"""openstack's commands against the API on real Nova, run as a user runs them but in this process."""

import contextlib
import csv
import io
import json
import logging
import time
import types
import uuid
from typing import Any, NamedTuple
from unittest import mock

import fixtures
from keystoneauth1 import adapter
from openstackclient import shell
from osc_lib.clientmanager import ClientCache, ClientManager
from wsgi_intercept import interceptor

from nova_colo.db import operations
from nova_colo.pair.model import State
from tests.functional.nova.harness import OTHER_PROJECT, PROJECT, ROLES, ColoTestCase

#: Server names that have a meaning elsewhere, such as in a shell or a spreadsheet.
NAMES = ("web $(reboot); `id` | rm", 'two "words" \'', "сервер-日本", "مرحبا-שלום", "--all-projects")


class Result(NamedTuple):
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


class OpenstackCommandsTest(ColoTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.ft_server("h1", name="first")
        self.protect(self.server, "h2")
        self.asked: list[str] = []
        # Nova's fixtures forbid that an SDK discovers endpoints
        self.useFixture(
            fixtures.MockPatch("openstack.proxy.Proxy.get_endpoint", adapter.Adapter.get_endpoint)
        )
        serving = interceptor.RequestsInterceptor(lambda: self.with_tokens, host="cloud", port=80)
        self.url = serving.__enter__()
        self.addCleanup(serving.__exit__, None, None, None)

    def with_tokens(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Pass a request to nova-api, whose middleware has no tokens: a token is the user's name here."""
        self.asked.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        user, _, project = environ.get("HTTP_X_AUTH_TOKEN", "admin").partition("@")
        who = {
            "HTTP_X_AUTH_USER": user,
            "HTTP_X_ROLES": ROLES[user],
            "HTTP_X_AUTH_PROJECT_ID": project or PROJECT,
        }
        return self.api_fixture.app()(environ | who, start_response)

    def run_command(self, *arguments: str, user: str = "admin") -> Result:
        for attribute in vars(ClientManager).values():  # cached on the class, for one command per process
            if isinstance(attribute, ClientCache):
                attribute._handle = None
        login = ["--os-auth-type", "admin_token", "--os-endpoint", f"{self.url}/v2.1", "--os-token", user]
        root, out, err = logging.getLogger(), io.StringIO(), io.StringIO()
        handlers, level = list(root.handlers), root.level
        del self.asked[:]
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch.dict("os.environ", {"NO_COLOR": "1"}),
        ):
            try:
                code = shell.main([*login, *arguments])
            except SystemExit as stop:
                code = stop.code
            finally:
                root.handlers[:], root.level = handlers, level
        return Result(code or 0, out.getvalue(), err.getvalue())

    def output(self, *arguments: str, **kwargs: Any) -> str:
        result = self.run_command(*arguments, **kwargs)
        self.assertEqual(0, result.code, result.err)
        return result.out

    def refused(self, *arguments: str, **kwargs: Any) -> str:
        result = self.run_command(*arguments, **kwargs)
        self.assertEqual((1, ""), (result.code, result.out), result.err)
        return result.err.strip().splitlines()[-1]

    def test_every_format_can_be_read(self):
        for command in (("list", "--long"), ("event", "list", "first"), ("show", "first")):
            as_json = json.loads(self.output("server", "ft", *command, "-f", "json"))
            table = self.output("server", "ft", *command)
            self.assertTrue(table.startswith("+-") or table == "\n", table)
            self.assertNotIn("\x1b", table)
            if command[0] == "list":
                (row,) = csv.DictReader(io.StringIO(self.output("server", "ft", *command, "-f", "csv")))
                self.assertEqual([*as_json[0]], [*row])
                self.assertEqual(as_json[0]["Name"], row["Name"])

    def test_names_that_mean_something_to_somebody_else(self):
        for name in NAMES:
            server = self.ft_server("h3", name=name)
            self.add_pair(self.admin_api.get_server(server["id"]))
        rows = json.loads(self.output("server", "ft", "list", "-f", "json"))
        self.assertEqual({"first", *NAMES}, {row["Name"] for row in rows})
        for name in NAMES:
            shown = json.loads(self.output("server", "ft", "show", "-f", "json", "--", name))
            self.assertEqual(name, shown["name"])
            self.assertIn(name, self.refused("server", "ft", "resume", "--", name))

    def test_servers_that_are_missing_ambiguous_or_somebody_elses(self):
        missing = "No server with a name or ID of 'second' exists."
        self.assertEqual(missing, self.refused("server", "ft", "show", "second"))
        self.assertEqual(
            "No server with a name or ID of 'first' exists.",
            self.refused("server", "ft", "suspend", "first", user=f"member@{OTHER_PROJECT}"),
        )
        self.ft_server("h3", name="first")
        for command in (("ft", "show"), ("failover",), ("ft", "suspend")):
            self.assertIn("give its ID", self.refused("server", *command, "first"))
        self.assertIn("protected", self.output("server", "ft", "show", self.server["id"]))

    def test_each_action_is_started(self):
        for arguments, kind in (
            (("failover", "first"), "failover"),
            (("ft", "test", "failover", "first"), "failover"),
            (("ft", "suspend", "first"), "suspend"),
            (("ft", "unprotect", "first"), "unprotect"),
            (("ft", "migrate", "secondary", "first"), "move_secondary"),
            (("ft", "set", "mode", "hybrid", "first"), "set_mode"),
        ):
            self.set_pair(self.server, operation_id=None, state=State.PROTECTED, wanted="protected")
            self.assertTrue(self.output("server", *arguments, user="manager").endswith("requested.\n"))
            self.assertEqual(kind, self.operation())
        self.set_pair(self.server, operation_id=None, state=State.PROTECTED, wanted="protected")
        self.assertIn("HTTP 403", self.refused("server", "failover", "first", user="reader"))
        self.assertIn("HTTP 403", self.refused("compute", "ft", "host", "list", user="manager"))

    def test_what_is_protected_already_need_not_be_waited_for(self):
        expected = "Server first is protected now: primary on h1, secondary on h2.\n"
        self.assertEqual(expected, self.output("server", "ft", "protect", "--wait", "first"))
        self.assertIn("is already protected", self.refused("server", "ft", "protect", "first"))
        self.assertIn("is not suspended", self.refused("server", "ft", "resume", "--wait", "first"))

    def test_a_new_server_is_waited_for_until_the_cloud_has_taken_notice_of_it(self):
        new = self.ft_server("h1", name="new")
        clock = types.SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: self.protect(new, "h2"))
        with mock.patch("novaclient_colo.osc.actions.time", clock):
            expected = "Server new is protected now: primary on h1, secondary on h2.\n"
            self.assertEqual(expected, self.output("server", "ft", "protect", "--wait", "new"))
        self.ft_server("h1", name="newer")
        for command in (
            ("failover", "--wait"),
            ("ft", "protect"),
            ("ft", "protect", "--wait", "--timeout", "0"),
        ):
            self.assertIn("has no secondary yet", self.refused("server", *command, "newer"))

    def test_a_server_that_fails_over_is_waited_for_until_it_is_protected_again(self):
        states = iter((State.DEGRADED, State.STARTING, State.PROTECTED))
        self.set_pair(self.server, operation_id=str(uuid.uuid4()), state=State.FAILING_OVER)
        clock = types.SimpleNamespace(
            monotonic=time.monotonic, sleep=lambda seconds: self.set_pair(self.server, state=next(states))
        )
        with mock.patch("novaclient_colo.fault_tolerance.time", clock):
            output = self.output("server", "ft", "protect", "--wait", "first")
        self.assertIn("Server first is protected now", output)
        self.set_pair(self.server, state=State.FAILING_OVER)
        self.assertIn("HTTP 409", self.refused("server", "ft", "protect", "first"))

    def operation(self) -> str:
        with self.database.reader() as session:
            return operations.get(session, self.pair(self.server).operation_id).kind

    def test_a_list_costs_two_requests(self):
        self.output("server", "ft", "list")
        self.assertLessEqual(len(self.asked), 2, self.asked)

    def test_a_cloud_without_the_filter(self):
        self.useFixture(fixtures.MockPatchObject(self.api_fixture, "app", lambda: self.stock_app))
        for command in (
            ("server", "ft", "list"),
            ("server", "failover", "first"),
            ("compute", "ft", "host", "list"),
        ):
            self.assertIn("This cloud's compute API has no fault tolerance", self.refused(*command))
