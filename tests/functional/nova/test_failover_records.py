# SPDX-License-Identifier: Apache-2.0
"""Update of Nova's records after a failover: live migration and evacuation by our drivers."""

from unittest import mock

import pytest
from nova.tests.fixtures import libvirt as fakelibvirt
from nova.virt.libvirt import guest as libvirt_guest

from nova_colo.pair.model import Role
from nova_colo.simulator import hypervisor as hv
from tests.functional.nova.harness import ColoTestCase
from tests.functional.nova.libvirt_harness import ColoLibvirtTestCase

MOVE = {"host": "h2", "force": True}
PLANNED = {"os-migrateLive": {**MOVE, "block_migration": "auto"}}
UNPLANNED = {"evacuate": MOVE}


class FollowTest(ColoTestCase):
    """With the fake driver, agents and the simulated hypervisor."""

    def setUp(self):
        super().setUp()
        self.server = self.ft_server("h1")
        self.protect(self.server, "h2")
        self.domains = {name: hv.Hypervisor(str(self.simulated), name) for name in self.hosts}

    def _promote(self):
        self.hosts["h2"].agent.promote({}, self.server["id"], 1)
        self.release(self.server)

    def _follow(self, action):
        answer = self.move(self.server, action)
        self.assertIn(answer.status_int, (200, 202), answer.text)
        expected = {"OS-EXT-SRV-ATTR:host": "h2", "status": "ACTIVE", "OS-EXT-STS:task_state": None}
        after = self._wait_for_server_parameter(self.server, expected)
        for name in ("id", "name", "addresses", "created", "metadata", "flavor"):
            self.assertEqual(self.server[name], after[name])
        self.assertEqual(1, after["OS-EXT-STS:power_state"])
        self.assertEqual(Role.PRIMARY, self.hosts["h2"].roles.get(self.server["id"]).role)
        self.assertEqual(hv.RUNNING, self.domains["h2"].get(self.server["id"]).state)

    def test_after_a_host_death_the_server_is_evacuated_to_its_peer(self):
        self.power_cut("h1")
        self._promote()
        self._follow(UNPLANNED)

    def test_a_planned_failover_migrates_the_server_to_its_peer_and_ends_the_old_primary(self):
        self.hosts["h1"].agent.demote({}, self.server["id"], 1)
        self._promote()
        self._follow(PLANNED)
        self.assertIsNone(self.domains["h1"].get(self.server["id"]))
        self.assertIsNone(self.hosts["h1"].roles.get(self.server["id"]))

    def test_records_follow_to_a_guest_that_has_ended_and_it_is_rebooted_there(self):
        for action in (PLANNED, UNPLANNED):
            server = self.server = self.ft_server("h1")
            self.protect(server, "h2")
            if action is PLANNED:
                self.hosts["h1"].agent.demote({}, server["id"], 1)
            else:
                self.power_cut("h1")
            self._promote()
            self.domains["h2"].remove(server["id"])
            self.move(server, action)
            expected = {"OS-EXT-SRV-ATTR:host": "h2", "status": "ACTIVE", "OS-EXT-STS:task_state": None}
            after = self._wait_for_server_parameter(server, expected)
            self.hosts["h2"].agent.release({}, server["id"])
            self._reboot_server(after, hard=True)
            self.assertEqual(hv.RUNNING, self.domains["h2"].get(server["id"]).state)

    def test_half_a_pair_is_not_migrated(self):
        for host in ("h2", "h3"):
            self.move(
                self.server, {"os-migrateLive": {"host": host, "force": True, "block_migration": "auto"}}
            )
            self._wait_for_server_parameter(self.server, {"OS-EXT-STS:task_state": None, "status": "ACTIVE"})
        self.assertEqual("h1", self.nova_record(self.server)[2])
        self._wait_for_log(".*fail (it|the server) over instead.*")

    def test_a_rebuild_in_place_is_stocks(self):
        self._rebuild_server(self.server, self.glance.auto_disk_config_enabled_image["id"])
        self.assertEqual("h1", self.nova_record(self.server)[2])
        self.assertIsNone(self.hosts["h1"].roles.get(self.server["id"]))


@pytest.mark.surface
class LibvirtFollowTest(ColoLibvirtTestCase):
    """With the libvirt driver on fakelibvirt."""

    def setUp(self):
        super().setUp()
        self.server = self.ft_server("h1", networks="auto")
        self.secondary = self.make_secondary(self.server, "h1", "h2")
        self.set_role("h2", self.server, Role.PROMOTED, epoch=1)

    def _follow(self, action):
        answer = self.act(self.server["id"], action)
        self.assertIn(answer.status_int, (200, 202), answer.text)
        expected = {"OS-EXT-SRV-ATTR:host": "h2", "status": "ACTIVE", "OS-EXT-STS:task_state": None}
        after = self._wait_for_server_parameter(self.server, expected)
        self.assertEqual(self.server["addresses"], after["addresses"])
        self.assertEqual(Role.PRIMARY, self.hosts["h2"].roles.get(self.server["id"]).role)
        self.assertEqual([self.server["id"]], self.hosts["h2"].driver.list_instance_uuids())
        domain = self.domain("h2", self.server)
        self.assertTrue(domain.isActive())
        self.assertFalse(domain._transient, "a reboot of the host would lose it")
        bindings = {
            port["binding:host_id"]
            for port in self.neutron.list_ports(is_admin=True)["ports"]
            if self._mine(port)
        }
        self.assertEqual({"h2"}, bindings)
        return after

    def _mine(self, port):
        return port.get("device_id") == self.server["id"]

    def test_after_a_host_death_the_server_is_evacuated_to_its_peer(self):
        self.hosts["h1"].compute.stop()
        self.force_down("h1", True)
        after = self._follow(UNPLANNED)
        self._reboot_server(after, hard=True)
        self.assertTrue(self.domain("h2", self.server).isActive())
        self._delete_server(after)
        self.assertIsNone(self.domain("h2", self.server))

    def test_a_planned_failover_migrates_the_server_to_its_peer_and_ends_the_old_primary(self):
        self.set_role("h1", self.server, Role.DEMOTED, epoch=1)
        self._follow(PLANNED)
        self.assertIsNone(self.domain("h1", self.server))
        self.assertIsNone(self.hosts["h1"].roles.get(self.server["id"]))

    def test_a_guest_whose_disk_nova_would_open_in_another_format_goes_on_and_is_not_defined(self):
        stock = libvirt_guest.Guest.get_xml_desc
        as_raw = mock.patch.object(
            libvirt_guest.Guest,
            "get_xml_desc",
            lambda guest: stock(guest).replace("type='raw'", "type='qcow2'"),
        )
        self.hosts["h1"].compute.stop()
        self.force_down("h1", True)
        with as_raw:
            self.act(self.server["id"], UNPLANNED)
            self._wait_for_server_parameter(self.server, {"status": "ERROR", "OS-EXT-STS:task_state": None})
        self.assertIn("is qcow2, and Nova on this host takes it for raw", self.stdlog.logger.output)
        domain = self.domain("h2", self.server)
        self.assertTrue(domain.isActive())
        self.assertTrue(domain._transient)

    def test_the_records_follow_when_the_old_primary_ends_as_it_is_about_to_be_ended(self):
        self.set_role("h1", self.server, Role.DEMOTED, epoch=1)
        end = fakelibvirt.Domain.destroy

        def end_twice(domain):
            end(domain)
            if domain is old:
                code = {"error_code": fakelibvirt.VIR_ERR_OPERATION_INVALID}
                raise fakelibvirt.make_libvirtError(fakelibvirt.libvirtError, "domain is not running", **code)

        old = self.domain("h1", self.server)
        with mock.patch.object(fakelibvirt.Domain, "destroy", end_twice):
            self._follow(PLANNED)
        self.assertIsNone(self.domain("h1", self.server))

    def test_an_old_primary_that_is_demoted_while_it_is_deleted_is_gone(self):
        roles = self.hosts["h1"].driver._roles
        delete = roles.delete

        def delete_and_demote(server_id):
            delete(server_id)
            self.set_role("h1", self.server, Role.DEMOTED, epoch=1)

        with mock.patch.object(roles, "delete", delete_and_demote):
            self._delete_server(self.server)
        self.assertIsNone(self.domain("h1", self.server))

    def test_a_migration_that_fails_leaves_the_promoted_replica_alone(self):
        self.set_role("h1", self.server, Role.DEMOTED, epoch=1)
        self.stub_out("nova_colo.virt.libvirt.ColoLibvirtDriver.pre_live_migration", fail)
        self.act(self.server["id"], PLANNED)
        self._wait_for_migration_status(self.server, ["error", "failed"])
        self._wait_for_server_parameter(self.server, {"OS-EXT-STS:task_state": None})
        self.assertTrue(self.secondary.isActive())
        self.assertIs(self.secondary, self.domain("h2", self.server))
        self.assertEqual(Role.PROMOTED, self.hosts["h2"].roles.get(self.server["id"]).role)


def fail(*args, **kwargs):
    raise RuntimeError("for the test")
