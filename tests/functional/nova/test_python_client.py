# SPDX-License-Identifier: Apache-2.0
"""The Python client against the API on real Nova: its requests, results and typed errors."""

import datetime
from typing import Any

import fixtures
import keystoneauth1.plugin
import keystoneauth1.session
from novaclient import exceptions as nova_exceptions
from oslo_utils import timeutils
from wsgi_intercept import interceptor

from nova_colo.db import events, history, operations
from nova_colo.pair import reasons
from nova_colo.pair.model import Health, State
from novaclient_colo import exceptions
from novaclient_colo.client import make_client
from tests.functional.nova.harness import PROJECT, ROLES, ColoTestCase


class Caller(keystoneauth1.plugin.BaseAuthPlugin):
    """Credentials of a user for Nova's middleware without Keystone."""

    def __init__(self, endpoint: str, user: str):
        super().__init__()
        self._endpoint, self._user = endpoint, user

    def get_headers(self, session: Any, **kwargs: Any) -> dict[str, str]:
        return {"X-Auth-User": self._user, "X-Auth-Project-Id": PROJECT, "X-Roles": ROLES[self._user]}

    def get_endpoint(self, session: Any, **kwargs: Any) -> str:
        return self._endpoint


class PythonClientTest(ColoTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.ft_server("h1", name="first")
        self.protect(self.server, "h2")
        self.ft = self.client("admin")

    def client(self, user: str, endpoint: str | None = None) -> Any:
        session = keystoneauth1.session.Session(auth=Caller(endpoint or self.admin_api.base_url, user))
        return make_client(session).fault_tolerance

    def more(self, *names: str, **values: Any) -> None:
        """Create FT servers with pairs that are not protected."""
        for name in names:
            self.add_pair(self.admin_api.get_server(self.ft_server("h3", name=name)["id"]), **values)

    def names(self, **filters: Any) -> list[str]:
        return [pair.name for pair in self.ft.list(**filters)]

    def test_discovery_and_summary(self):
        self.assertEqual({"colo", "checkpoint", "hybrid"}, set(self.ft.discovery()["modes"]))
        self.assertEqual((1, 1), (self.ft.summary()["total"], self.ft.summary()["state"]["protected"]))

    def test_a_list_is_filtered_and_sorted_by_the_cloud(self):
        self.more("second", "third", state=State.DEGRADED, health=Health.CRITICAL)
        self.assertEqual({"second", "third"}, set(self.names(state="degraded")))
        self.assertEqual({"first", "second", "third"}, set(self.names(state=["degraded", "protected"])))
        self.assertEqual({"second", "third"}, set(self.names(health="critical")))
        self.assertEqual(["first"], self.names(host="h2"))
        self.assertEqual(["third"], self.names(name="HIR"))
        self.assertEqual(
            ["third", "second", "first"], self.names(sort_key="name", sort_dir="desc", all_tenants=True)
        )
        with self.assertRaisesRegex(nova_exceptions.BadRequest, "state"):
            self.names(state="asleep")
        with self.assertRaisesRegex(nova_exceptions.BadRequest, "all_together"):
            self.names(all_together=1)

    def test_pages_are_asked_for_when_they_are_needed(self):
        self.more("second", "third")
        self.flags(max_limit=1, group="api")
        asked, get = [], self.ft.client.get
        self.useFixture(
            fixtures.MockPatchObject(self.ft.client, "get", lambda url: asked.append(url) or get(url))
        )
        pairs = self.ft.iterate(sort_key="name")
        self.assertEqual("first", next(pairs).name)
        self.assertEqual(1, len(asked))
        self.assertEqual(["second", "third"], [pair.name for pair in pairs])
        self.assertEqual(["first", "second", "third"], self.names(sort_key="name"))
        self.assertEqual(["first", "second"], self.names(sort_key="name", limit=2))
        del asked[:]
        self.assertEqual("first", self.ft.list(sort_key="name", limit=1)[0].name)
        self.assertEqual(1, len(asked))

    def test_a_pair_its_events_and_its_checkpoints(self):
        pair = self.ft.get(self.server["id"])
        self.assertEqual(
            ("first", "protected", "h1", "h2"),
            (pair.name, pair.state, pair.primary_host, pair.secondary_host),
        )
        self.assertIsNone(self.client("reader").get(pair).secondary_host)
        with self.database.writer() as session:
            for number in range(3):
                events.add(session, pair.id, "mode", reasons.GRANT_INVALID(epoch=number))
        messages = [f"The grant for epoch {number} is no longer valid." for number in (2, 1, 0)]
        self.assertEqual(messages, [event.message for event in self.ft.events(pair)])
        self.assertEqual(messages[:1], [event.message for event in self.ft.events(pair, limit=1)])
        self.assertEqual(messages, [event.message for event in self.ft.iterate_events(pair, page_size=1)])
        self.assertEqual({"epoch": 2}, self.ft.events(pair)[0].params)
        start = int(timeutils.utcnow_ts()) // 10 * 10 - 600
        bucket = {
            "server_id": pair.id,
            "start": start,
            "seconds": 10,
            "mismatch": 2,
            "periodic": 1,
            "forced": 0,
        }
        bucket |= {"pause_sum_ms": 30.0, "pause_max_ms": 20.0}
        with self.database.writer() as session:
            history.store(session, [bucket])
        (bucket,) = self.ft.checkpoints(pair).buckets
        self.assertEqual((3, 10.0, 20.0), (bucket.total, bucket.pause_ms["mean"], bucket.pause_ms["max"]))
        until = datetime.datetime.fromtimestamp(start - 100, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.assertEqual([], self.ft.checkpoints(pair, until=until).buckets)
        with self.assertRaisesRegex(nova_exceptions.BadRequest, "since"):
            self.ft.checkpoints(pair, since="yesterday")

    def test_hosts_are_for_those_who_may_see_them(self):
        self.assertEqual(
            [("h1", 1, 0), ("h2", 0, 1)], [(h.host, h.primaries, h.secondaries) for h in self.ft.hosts()]
        )
        with self.assertRaises(nova_exceptions.Forbidden):
            self.client("manager").hosts()

    def test_what_is_asked_of_a_pair_is_started(self):
        asked = {
            "failover": lambda: self.ft.failover(self.server["id"]),
            "unprotect": lambda: self.ft.unprotect(self.server["id"]),
            "suspend": lambda: self.ft.suspend(self.server["id"]),
            "move_secondary": lambda: self.ft.migrate_secondary(self.server["id"]),
            "set_mode": lambda: self.ft.set_mode(self.server["id"], "hybrid"),
        }
        for kind, ask in asked.items():
            self.set_pair(self.server, operation_id=None, state=State.PROTECTED, wanted="protected")
            self.assertTrue(ask().request_ids)
            self.assertEqual(kind, self.operation())
        self.set_pair(self.server, operation_id=None, state=State.PROTECTED, wanted="protected")
        self.ft.test_failover(self.server["id"], and_return=True)
        self.assertEqual(("failover", "h1"), (self.operation(), self.pair(self.server).return_to))
        self.set_pair(
            self.server, operation_id=None, state=State.SUSPENDED, wanted="suspended", secondary_host=None
        )
        self.ft.resume(self.server["id"])
        self.assertEqual("protected", self.pair(self.server).wanted)
        self.set_pair(self.server, operation_id=None, state=State.UNPROTECTED, wanted="unprotected")
        self.ft.protect(self.server["id"])
        self.assertEqual("protected", self.pair(self.server).wanted)

    def operation(self) -> str:
        """Return the kind of the operation that was started last."""
        with self.database.reader() as session:
            return operations.get(session, self.pair(self.server).operation_id).kind

    def test_refusals_have_types_and_say_what_to_do(self):
        server_id = self.server["id"]
        self.set_pair(self.server, state=State.DEGRADED, secondary_host=None)
        with self.assertRaisesRegex(
            exceptions.NoHealthySecondary, "^The server has no healthy secondary .* free capacity"
        ):
            self.ft.failover(server_id)
        with self.assertRaisesRegex(nova_exceptions.Conflict, "not protected"):
            self.ft.suspend(server_id)
        with self.assertRaises(nova_exceptions.Forbidden):
            self.client("reader").failover(server_id)
        with self.assertRaisesRegex(nova_exceptions.BadRequest, "nothing"):
            self.ft.set_mode(server_id, "nothing")
        with self.assertRaisesRegex(nova_exceptions.BadRequest, "Host h9 has no nova-colo-agent"):
            self.set_pair(self.server, state=State.PROTECTED, secondary_host="h2")
            self.ft.migrate_secondary(server_id, "h9")
        plain = self.plain_server()["id"]
        for ask in (self.ft.get, self.ft.failover, self.ft.events, self.ft.checkpoints, self.ft.protect):
            with self.assertRaisesRegex(
                exceptions.NotFaultTolerant, "^Instance .* extra spec ft:enabled=1.$"
            ):
                ask(plain)
        nobody = "00000000-0000-4000-8000-000000000000"
        for ask in (self.ft.get, self.ft.failover, self.ft.events, self.ft.checkpoints):
            with self.assertRaisesRegex(nova_exceptions.NotFound, nobody):
                ask(nobody)

    def test_a_cloud_with_an_older_filter_is_said_to_be_older(self):
        with self.assertRaisesRegex(
            exceptions.ActionNotSupported, "does not support ft-levitate: its nova-colo is older"
        ):
            self.ft._act(self.server["id"], "ft-levitate", None)

    def test_a_cloud_without_the_filter_is_said_to_have_none(self):
        with interceptor.RequestsInterceptor(lambda: self.stock_app, host="stock", port=80) as url:
            ft = self.client("admin", f"{url}/v2.1")
            server_id = self.server["id"]
            for ask in (
                ft.discovery,
                ft.list,
                ft.hosts,
                ft.summary,
                lambda: ft.get(server_id),
                lambda: ft.failover(server_id),
            ):
                with self.assertRaisesRegex(
                    exceptions.FaultToleranceNotSupported, "is not installed at http://stock"
                ):
                    ask()

    def test_a_pair_is_waited_for(self):
        states = []

        def progress(pair):
            states.append(pair.state)
            self.set_pair(self.server, state=State.PROTECTED)

        self.set_pair(self.server, state=State.STARTING)
        self.assertEqual(
            "protected", self.ft.wait_for(self.server["id"], "protected", progress=progress).state
        )
        self.assertEqual(["starting"], states)
        with self.assertRaisesRegex(
            exceptions.WaitTimeoutError, "^Timed out after 0 s: server first is protected, not degraded.$"
        ):
            self.ft.wait_for(self.server["id"], "degraded", timeout=0)
        self.set_pair(
            self.server, state=State.ERROR, state_reason=reasons.NOT_RUNNING(reason=reasons.BOTH_ENDED())
        )
        with self.assertRaisesRegex(
            exceptions.WaitFailedError, "^Server first: Not running: both QEMUs of the pair exited.$"
        ):
            self.ft.wait_for(self.server["id"], "protected")
        self.assertEqual("error", self.ft.wait_for(self.server["id"], "error").state)

    def test_flavors_are_made_and_made_ordinary_again(self):
        flavors = self.ft.flavors
        before = {flavor.name for flavor in flavors.list()}
        flavor = flavors.create(
            "ft.tiny", 1, 64, 1, mode="hybrid", checkpoint_interval_ms=200, auto_reprotect=False
        )
        self.assertEqual(
            (True, "hybrid", 200, False, True, 128),
            (
                flavor.enabled,
                flavor.mode,
                flavor.checkpoint_interval_ms,
                flavor.auto_reprotect,
                flavor.is_public,
                flavor.secondary_ram,
            ),
        )
        self.assertEqual(before | {"ft.tiny"}, {flavor.name for flavor in flavors.list()})
        self.assertEqual("colo", flavors.set(flavor.id, mode="colo").mode)
        self.assertEqual(200, flavors.get(flavor).checkpoint_interval_ms)
        self.assertEqual((False, {}), (flavors.unset(flavor).enabled, flavors.get(flavor).extra_specs))
        self.assertEqual(before, {flavor.name for flavor in flavors.list()})
        self.assertIn("ft.tiny", {flavor.name for flavor in flavors.list(every=True)})
        self.flags(max_limit=1, group="api")
        self.assertEqual(before, {flavor.name for flavor in flavors.list()})

    def test_a_private_flavor_is_its_projects_own(self):
        flavor = self.ft.flavors.create("ft.private", 1, 64, 1, projects=[PROJECT])
        self.assertFalse(flavor.is_public)
        self.assertIn("ft.private", {flavor.name for flavor in self.client("member").flavors.list()})

    def test_a_flavor_that_nova_refuses_is_not_left_half_made(self):
        before = {flavor.name for flavor in self.ft.flavors.list(every=True)}
        with self.assertRaisesRegex(
            nova_exceptions.BadRequest, "'sometimes' is not one of: colo, checkpoint, hybrid"
        ):
            self.ft.flavors.create("ft.wrong", 1, 64, 1, mode="sometimes")
        with self.assertRaisesRegex(nova_exceptions.Forbidden, "flavor"):
            self.client("member").flavors.create("ft.wrong", 1, 64, 1)
        self.assertEqual(before, {flavor.name for flavor in self.ft.flavors.list(every=True)})
        with self.assertRaises(nova_exceptions.NotFound):
            self.ft.flavors.set("no-such-flavor")
