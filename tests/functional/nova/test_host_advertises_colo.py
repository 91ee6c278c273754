# SPDX-License-Identifier: Apache-2.0
"""Hosts that can run replicas have the trait CUSTOM_COLO in Placement."""

import time

import pytest

from nova_colo.hoststate import agent_health
from tests.functional.nova.harness import ColoTestCase, node_id

pytestmark = pytest.mark.surface


class TraitTest(ColoTestCase):
    host_names = ("h1", "h2")

    def _report_health(self, host, reasons=(), age=0.0):
        agent_health.write(str(self.state_path(host)), list(reasons), time.time() - age)

    def _advertising(self):
        self._run_periodics()
        return {name for name in self.hosts if "CUSTOM_COLO" in self._get_provider_traits(node_id(name))}

    def test_a_host_advertises_colo_while_its_agent_is_healthy(self):
        self.assertEqual(set(), self._advertising())
        self._report_health("h1")
        self._report_health("h2", ["QEMU has no x-colo"])
        self.assertEqual({"h1"}, self._advertising())
        self._report_health("h2")
        self.assertEqual({"h1", "h2"}, self._advertising())
        self._report_health("h1", age=60)
        self.assertEqual({"h2"}, self._advertising())

    def test_a_flavor_may_ask_for_it(self):
        self._report_health("h2")
        self._run_periodics()
        flavor = self.ft_flavor(trait__CUSTOM_COLO="required")
        server = self._create_server(flavor_id=flavor, networks="none", expected_state="ERROR")
        self._wait_for_log(".*needs two hosts.*have left only h2.*")
        self._delete_server(server)
        self._report_health("h1")
        self._run_periodics()
        self._create_server(flavor_id=flavor, networks="none")
