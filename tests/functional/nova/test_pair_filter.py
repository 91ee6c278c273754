# SPDX-License-Identifier: Apache-2.0
"""A new FT server needs two hosts; all else is scheduled as without our filter."""

import pytest

from tests.functional.nova.harness import ColoTestCase

pytestmark = pytest.mark.surface


class PairFilterTest(ColoTestCase):
    host_names = ("h1", "h2")

    def _fail(self, name):
        self.hosts[name].compute.stop()
        self.force_down(name, True)

    def test_two_hosts_are_enough_and_one_is_not(self):
        server = self.ft_server(host=None)
        self._fail("h2")
        lonely = self._create_server(flavor_id=self.ft_flavor(), networks="none", expected_state="ERROR")
        self.assertIn("No valid host", lonely["fault"]["message"])
        self._wait_for_log(
            ".*is fault tolerant .*needs two hosts.*have left only h1. Add, enable or free another host.*"
        )
        plain = self.plain_server()
        self.assertEqual("h1", plain["OS-EXT-SRV-ATTR:host"])
        self._delete_server(lonely)
        self._delete_server(server)

    def test_a_server_that_exists_moves_though_one_host_is_left(self):
        server = self.ft_server("h1")  # forced to the host: the scheduler has no choice
        self._fail("h1")
        with self.speaking("2.94"):
            self.api.post_server_action(server["id"], {"evacuate": {}})
        self._wait_for_server_parameter(server, {"OS-EXT-SRV-ATTR:host": "h2", "status": "ACTIVE"})
        rebuilt = self._rebuild_server(server, self.glance.auto_disk_config_enabled_image["id"])
        self.assertEqual("ACTIVE", rebuilt["status"])

    def test_a_forced_host_is_taken(self):
        self._fail("h2")
        for where in ({"host": "h1"}, {"host": None, "az": "nova:h1"}):
            self.assertEqual("h1", self.ft_server(**where)["OS-EXT-SRV-ATTR:host"])
