# SPDX-License-Identifier: Apache-2.0
"""A server that has lost two hosts in a row, the first of which is still down."""

import pytest

from nova_colo.pair.model import Role
from tests.functional.nova.harness import ColoTestCase, node_id

pytestmark = pytest.mark.surface


class LeftoverAllocationTest(ColoTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.ft_server("h1")
        self.protect(self.server, "h2")
        self._lose("h1", "h2", epoch=1)
        self._protect_again("h2", "h3")
        self.power_cut("h2")
        self.hosts["h3"].agent.promote({}, self.server["id"], 2)
        self.release(self.server)

    def _lose(self, lost, twin, epoch):
        """A host dies, the twin takes over, and Nova's records follow."""
        self.power_cut(lost)
        self.hosts[twin].agent.promote({}, self.server["id"], epoch)
        self.release(self.server)
        self._evacuate(twin)
        self._wait_for_server_parameter(
            self.server, {"OS-EXT-SRV-ATTR:host": twin, "OS-EXT-STS:task_state": None}
        )

    def _protect_again(self, primary, secondary):
        spec = {
            "server_id": self.server["id"],
            "name": "s",
            "epoch": 1,
            "primary_host": primary,
            "secondary_host": secondary,
        }
        spec["totals"] = {"mismatch": 0, "periodic": 0, "forced": 0}
        self.replicate(spec)
        self.reserve(self.server, secondary)

    def _evacuate(self, host):
        answer = self.move(self.server, {"evacuate": {"host": host, "force": True}})
        self.assertEqual(200, answer.status_int, answer.text)

    def _allocated(self):
        """The hosts on which Placement has an allocation of the server."""
        providers = self.placement.get(f"/allocations/{self.server['id']}", version="1.36").body[
            "allocations"
        ]
        return {name for name in self.hosts if node_id(name) in providers}

    def _remove_allocation_on(self, host):
        """Remove the server's allocation on one host, and only that, by Placement's public API."""
        body = self.placement.get(f"/allocations/{self.server['id']}", version="1.36").body
        for allocation in body["allocations"].values():
            del allocation["generation"]
        del body["allocations"][node_id(host)]
        answer = self.placement.put(f"/allocations/{self.server['id']}", body, version="1.36")
        self.assertEqual(204, answer.status, answer.body)

    def test_nova_refuses_to_force_a_move_while_the_first_host_holds_an_allocation(self):
        self.assertEqual({"h1", "h2"}, self._allocated())
        self._evacuate("h3")
        self._wait_for_log(".*complex allocations on the source host.*")
        self.assertEqual("h2", self.seen(self.server)[2])

    def test_without_that_allocation_it_moves_and_the_first_host_still_cleans_up_when_it_returns(self):
        self._remove_allocation_on("h1")
        self._evacuate("h3")
        self._wait_for_server_parameter(
            self.server, {"OS-EXT-SRV-ATTR:host": "h3", "OS-EXT-STS:task_state": None}
        )
        self.assertEqual({"h2", "h3"}, self._allocated())
        # the first host was cut off and not without power: its old guest runs on, and its role says so
        self.hosts["h1"].driver.instances[self.server["id"]] = fake_guest(self.server)
        self.assertEqual(Role.PRIMARY, self.hosts["h1"].roles.get(self.server["id"]).role)
        self.start_host("h1")
        self.assertNotIn(self.server["id"], self.hosts["h1"].driver.list_instance_uuids())
        self.force_down("h1", False)
        self.assertEqual({"h2", "h3"}, self._allocated())
        self.start_host("h2")
        self.force_down("h2", False)
        self.assertEqual({"h3"}, self._allocated())
        self.assertEqual(("ACTIVE", None, "h3"), self.seen(self.server))


def fake_guest(server):
    """Return what Nova's fake driver keeps of a running guest."""
    from nova.compute import power_state
    from nova.virt import fake

    return fake.FakeInstance("instance-00000001", power_state.RUNNING, server["id"])
