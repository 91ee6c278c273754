# SPDX-License-Identifier: Apache-2.0
"""[colo] strict: an FT server is built only with capacity reserved for its secondary."""

import oslo_messaging as messaging
import pytest
from nova.conf import CONF

from nova_colo import rpc
from tests.functional.nova.harness import ColoTestCase

pytestmark = pytest.mark.surface


class Engine:
    """A model of the engines' answer; messages use oslo.messaging with its fake transport."""

    target = messaging.Target(version=rpc.VERSION)

    def __init__(self):
        self.asked = []
        self.refusal = ""

    def reserve(self, ctxt, server_id, host):
        self.asked.append((server_id, host))
        if self.refusal:
            # the fake driver of oslo.messaging passes exceptions unchanged; a broker would turn any into this
            raise messaging.RemoteError("BuildError", self.refusal)
        return "h2"


class StrictBuildTest(ColoTestCase):
    def setUp(self):
        super().setUp()
        self.flags(strict=True, reservation_timeout=30.0, group="colo")
        self.engine = Engine()

    def _serve(self):
        server = rpc.server(rpc.transport(CONF), rpc.ENGINE_TOPIC, "engine", self.engine)
        server.start()
        self.addCleanup(server.wait)
        self.addCleanup(server.stop)

    def _refused(self, reason):
        server = self._create_server(flavor_id=self.ft_flavor(), networks="none", expected_state="ERROR")
        self.assertIn(reason, server["fault"]["message"])
        self.assertIn("aborted", server["fault"]["message"])
        self.assertEqual({}, self._get_allocations_by_server_uuid(server["id"]))
        for host in self.hosts.values():
            self.assertNotIn(server["id"], host.driver.list_instance_uuids())
        return server

    def test_an_ft_server_is_built_when_there_is_room(self):
        self._serve()
        server = self.ft_server("h1")
        self.assertEqual([(server["id"], "h1")], self.engine.asked)

    def test_without_room_the_build_fails_with_the_reason_on_the_first_host(self):
        self._serve()
        self.engine.refusal = "Needs a secondary: no other host has 1024 MB of RAM free."
        self._refused(
            "no capacity could be reserved for its secondary: "
            "Needs a secondary: no other host has 1024 MB of RAM free."
        )
        self.assertEqual(1, len(self.engine.asked))

    def test_without_an_engine_the_build_fails_with_the_reason(self):
        self.flags(reservation_timeout=2.0, group="colo")
        self._refused("no nova-colo-engine answered within 2 s")

    def test_other_servers_and_servers_that_exist_need_no_room(self):
        self._serve()
        self.plain_server()
        server = self.ft_server("h1")
        self.engine.asked.clear()
        self.engine.refusal = "none"
        self._shelve_server(server)
        self._unshelve_server(server)
        self.assertEqual([], self.engine.asked)
