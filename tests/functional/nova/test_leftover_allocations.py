# SPDX-License-Identifier: Apache-2.0
"""Leftover allocations in Placement that prevent Nova from moving a server."""

from typing import Any
from unittest import mock

import pytest

from nova_colo.engine.clients import placement
from nova_colo.pair.model import Role
from tests.functional.nova.harness import ColoTestCase, node_id

pytestmark = pytest.mark.surface


class LeftoverAllocationTest(ColoTestCase):
    """A server that has lost two hosts in a row, of which the first is still down."""

    def setUp(self):
        super().setUp()
        self.server = self.ft_server("h1")
        self.protect(self.server, "h2")
        self._lose("h1", "h2", epoch=1)
        self._protect_again("h2", "h3")
        self.power_cut("h2")
        self.hosts["h3"].agent.promote({}, self.server["id"], 2)
        self.release(self.server)

    def _lose(self, lost, secondary, epoch):
        """Cut a host's power, promote the secondary, and evacuate the server to it."""
        self.power_cut(lost)
        self.hosts[secondary].agent.promote({}, self.server["id"], epoch)
        self.release(self.server)
        self._evacuate(secondary)
        self._wait_for_server_parameter(
            self.server, {"OS-EXT-SRV-ATTR:host": secondary, "OS-EXT-STS:task_state": None}
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
        """Return the hosts on which the server has an allocation in Placement."""
        providers = self.placement.get(f"/allocations/{self.server['id']}", version="1.36").body[
            "allocations"
        ]
        return {name for name in self.hosts if node_id(name) in providers}

    def _remove_allocation_on(self, host):
        """Remove the server's allocation on one host, and no other, by Placement's public API."""
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
        self.assertEqual("h2", self.nova_record(self.server)[2])

    def test_without_that_allocation_it_moves_and_the_first_host_still_cleans_up_when_it_returns(self):
        self._remove_allocation_on("h1")
        self._evacuate("h3")
        self._wait_for_server_parameter(
            self.server, {"OS-EXT-SRV-ATTR:host": "h3", "OS-EXT-STS:task_state": None}
        )
        self.assertEqual({"h2", "h3"}, self._allocated())
        # the first host had lost its network and not its power: its guest runs on, and its role is unchanged
        self.hosts["h1"].driver.instances[self.server["id"]] = fake_guest(self.server)
        self.assertEqual(Role.PRIMARY, self.hosts["h1"].roles.get(self.server["id"]).role)
        self.start_host("h1")
        self.assertNotIn(self.server["id"], self.hosts["h1"].driver.list_instance_uuids())
        self.force_down("h1", False)
        self.assertEqual({"h2", "h3"}, self._allocated())
        self.start_host("h2")
        self.force_down("h2", False)
        self.assertEqual({"h3"}, self._allocated())
        self.assertEqual(("ACTIVE", None, "h3"), self.nova_record(self.server))


class EndedMigrationTest(ColoTestCase):
    """A server whose live migration was accepted by a nova-compute that ended before it started."""

    def setUp(self):
        super().setUp()
        self.server = self.ft_server("h1")
        self.protect(self.server, "h2")
        self.hosts["h1"].agent.demote({}, self.server["id"], 1)
        self.hosts["h2"].agent.promote({}, self.server["id"], 1)
        self.release(self.server)
        with mock.patch.object(self.hosts["h1"].compute.manager, "live_migration") as taken:
            self._migrate()
            self._wait_for_call(taken)
        self.start_host("h1")
        self._wait_for_server_parameter(self.server, {"OS-EXT-STS:task_state": None})

    def _wait_for_call(self, taken):
        self._wait_for_server_parameter(self.server, {"OS-EXT-STS:task_state": "migrating"})
        for _ in range(300):
            if taken.called:
                return
            self.clock.sleep(0.1)
        self.fail("nova-compute was not asked to migrate")

    def _migrate(self):
        body = {"os-migrateLive": {"host": "h2", "force": True, "block_migration": "auto"}}
        answer = self.move(self.server, body)
        self.assertEqual(202, answer.status_int, answer.text)

    def _migrations(self):
        answer = self.request("GET", f"/os-migrations?instance_uuid={self.server['id']}")
        return [migration["uuid"] for migration in answer.json["migrations"]]

    def _return_allocation(self):
        PlacementOf(self.placement).return_allocation(self.server["id"], node_id("h1"), self._migrations())

    def _allocated(self, consumer):
        return set(self.placement.get(f"/allocations/{consumer}", version="1.36").body["allocations"])

    def test_nova_fails_each_further_live_migration(self):
        self.assertEqual({node_id("h2")}, self._allocated(self.server["id"]))
        self._migrate()
        self._wait_for_server_parameter(self.server, {"status": "ERROR"})
        self.assertEqual("h1", self.nova_record(self.server)[2])

    def test_with_its_allocation_returned_it_moves(self):
        (ended,) = self._migrations()
        self.assertEqual({node_id("h1")}, self._allocated(ended))
        for _ in range(2):  # the second call changes nothing
            self._return_allocation()
            self.assertEqual({node_id("h1")}, self._allocated(self.server["id"]))
            self.assertEqual(set(), self._allocated(ended))
        self._migrate()
        self._wait_for_server_parameter(
            self.server, {"OS-EXT-SRV-ATTR:host": "h2", "status": "ACTIVE", "OS-EXT-STS:task_state": None}
        )
        self.assertEqual({node_id("h2")}, self._allocated(self.server["id"]))

    def test_with_its_allocation_returned_it_is_evacuated(self):
        """Without it Nova fails too, and leaves the server with the task state "rebuilding" for good."""
        self.power_cut("h1")
        self._return_allocation()
        self.move(self.server, {"evacuate": {"host": "h2", "force": True}})
        self._wait_for_server_parameter(
            self.server, {"OS-EXT-SRV-ATTR:host": "h2", "status": "ACTIVE", "OS-EXT-STS:task_state": None}
        )


class PlacementOf(placement.PlacementClient):
    """The engine's client, with requests to the Placement of Nova's fixture."""

    def __init__(self, fixture: Any):
        self._fixture = fixture
        self._microversion = placement.MICROVERSION

    def request(self, method: str, path: str, **kwargs: Any) -> Any:
        call = getattr(self._fixture, method.lower())
        arguments = [kwargs["json"]] if "json" in kwargs else []
        answer = call(path, *arguments, version=kwargs.get("microversion", self._microversion))
        assert answer.status < 400, answer.body
        return mock.Mock(json=lambda: answer.body)


def fake_guest(server):
    """Return the record of a running guest in Nova's fake driver."""
    from nova.compute import power_state
    from nova.virt import fake

    return fake.FakeInstance("instance-00000001", power_state.RUNNING, server["id"])
