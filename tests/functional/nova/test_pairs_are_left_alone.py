# SPDX-License-Identifier: Apache-2.0
"""nova-compute must not stop or start guests of pairs: neither a secondary, nor a primary that is paused."""

import dataclasses
import time
from unittest import mock

import fixtures
import nova.conf
import pytest
from nova import context as nova_context
from nova import exception, objects
from nova.tests.fixtures import libvirt as fakelibvirt
from nova.virt import event
from nova.virt import fake as nova_fake

from lab.core.patience import patient
from nova_colo.agent.replication import ReplicationError
from nova_colo.hoststate.commits import DiskFile
from nova_colo.hoststate.roles import RoleRecord
from nova_colo.pair.model import Role
from nova_colo.simulator import hypervisor as hv
from nova_colo.virt import mixin
from tests.functional.nova.harness import ColoTestCase
from tests.functional.nova.libvirt_harness import ColoLibvirtTestCase

CONF = nova.conf.CONF
HARD = {"reboot": {"type": "HARD"}}


#: Methods of a driver that change a guest or its devices, and their arguments.
CHANGES = {
    "pause": ("instance",),
    "suspend": (None, "instance"),
    "snapshot": (None, "instance", "image", None),
    "attach_volume": (None, {}, "instance", "/dev/vdb"),
    "detach_volume": (None, {}, "instance", "/dev/vdb"),
    "swap_volume": (None, {}, {}, "instance", "/dev/vdb", 1),
    "attach_interface": (None, "instance", None, {"id": "p"}),
    "detach_interface": (None, "instance", {"id": "p"}),
}


class PairsAreLeftAloneTest(ColoTestCase):
    """With the fake driver, agents and the simulated hypervisor."""

    def setUp(self):
        super().setUp()
        self.domains = {name: hv.Hypervisor(str(self.simulated), name) for name in self.hosts}
        self.server = self.ft_server("h1")
        self.protect(self.server, "h2")

    def _domain(self, host):
        domain = self.domains[host].get(self.server["id"])
        return domain.state if domain else None

    def _periodics(self, host):
        """Run the periodic tasks of nova-compute that may end guests."""
        manager, context = self.hosts[host].compute.manager, nova_context.get_admin_context()
        manager._sync_power_states(context)
        manager._cleanup_running_deleted_instances(context)
        manager.update_available_resource(context)

    def _promote(self):
        self.hosts["h2"].agent.promote({}, self.server["id"], 1)
        self.release(self.server)

    def _wait_for_host(self, host):
        self._wait_for_server_parameter(
            self.server, {"OS-EXT-SRV-ATTR:host": host, "OS-EXT-STS:task_state": None}
        )

    def test_a_secondary_outlives_restarts_and_periodic_tasks(self):
        self.flags(running_deleted_instance_action="reap", running_deleted_instance_timeout=0)
        self._periodics("h2")
        self.start_host("h2")
        self.assertEqual([], self.hosts["h2"].driver.list_instances())
        self.assertEqual(0, self.hosts["h2"].driver.get_num_instances())
        self._delete_server(self.server)
        self._periodics("h2")
        # the server is deleted and its primary ended; the secondary is for the engine to destroy
        self.assertIsNone(self._domain("h1"))
        self.assertEqual(hv.PAUSED, self._domain("h2"))

    def test_a_secondary_on_a_host_that_was_evacuated_outlives_its_return(self):
        self.power_cut("h1")
        self._promote()
        self.move(self.server, {"evacuate": {"host": "h2", "force": True}})
        self._wait_for_host("h2")
        # the agent starts before nova-compute, and the engine has selected this host for the new secondary
        spec = {
            "server_id": self.server["id"],
            "name": "s",
            "epoch": 1,
            "primary_host": "h2",
            "secondary_host": "h1",
        }
        self.hosts["h1"].agent.discard({}, self.server["id"])
        self.hosts["h1"].agent.prepare_secondary(
            {}, spec | {"totals": {"mismatch": 0, "periodic": 0, "forced": 0}}, {}
        )
        self.start_host("h1")
        self.force_down("h1", False)
        self.assertEqual(hv.PAUSED, self._domain("h1"))
        self.assertEqual(Role.SECONDARY, self.hosts["h1"].roles.get(self.server["id"]).role)
        self.assertEqual(("ACTIVE", None, "h2"), self.nova_record(self.server))

    def test_nova_does_not_stop_a_server_whose_secondary_takes_over_and_stops_one_that_is_alone(self):
        self.domains["h1"].remove(self.server["id"])
        self._periodics("h1")
        self.assertEqual(("ACTIVE", None, "h1"), self.nova_record(self.server))
        alone = self.ft_server("h1")
        self.domains["h1"].put(hv.Domain(alone["id"], "instance-2", hv.SHUT_OFF))
        self.hosts["h1"].roles.put(RoleRecord(alone["id"], Role.PRIMARY, 0))
        self.hosts["h1"].agent.run_alone({}, alone["id"], 1)
        self.domains["h1"].put(hv.Domain(alone["id"], "instance-2", hv.SHUT_OFF))
        self._periodics("h1")
        self._wait_for_server_parameter(alone, {"status": "SHUTOFF"})

    def test_a_host_that_returns_from_the_dead_does_not_start_what_runs_elsewhere(self):
        self.flags(resume_guests_state_on_host_boot=True)
        plain, alone = self.plain_server(host="h1"), self.ft_server("h1")
        self.hosts["h1"].roles.put(RoleRecord(alone["id"], Role.PRIMARY, 0))
        self.hosts["h1"].agent.run_alone({}, alone["id"], 1)
        self.power_cut("h1")
        self._promote()
        self.start_host("h1")
        self.force_down("h1", False)
        self.assertIsNone(self._domain("h1"))
        for other in (plain, alone):
            self.assertEqual(hv.RUNNING, self.domains["h1"].get(other["id"]).state)
        # neither does a request of another user
        self.act(self.server["id"], HARD)
        self._wait_for_log(".*its peer may run on another host.*unprotect the server.*")
        self._wait_for_server_parameter(self.server, {"status": "ACTIVE", "OS-EXT-STS:task_state": None})
        self.assertIsNone(self._domain("h1"))
        self._assert_no_host_in_faults()

    def _assert_no_host_in_faults(self):
        """Check the part of its faults that the server's owner may read: not their details."""
        faults = objects.InstanceFaultList.get_by_instance_uuids(
            nova_context.get_admin_context(), [self.server["id"]]
        )
        self.assertTrue(faults)
        for fault in faults:
            self.assertNotIn("h2", fault.message)

    def test_the_last_gate_holds_even_if_nova_asks(self):
        self.domains["h1"].remove(self.server["id"])
        self.hosts["h1"].driver.resume_state_on_host_boot(None, FakeInstance(self.server["id"]), None, None)
        self.assertIsNone(self._domain("h1"))

    def test_stop_start_and_reboot_of_a_primary_leave_the_pair(self):
        self._stop_server(self.server)
        self.assertIsNone(self.hosts["h1"].roles.get(self.server["id"]))
        self._start_server(self.server)
        self.assertEqual(hv.RUNNING, self._domain("h1"))
        other = self.ft_server("h1")
        self.protect(other, "h2")
        self._reboot_server(other, hard=True)
        self.assertIsNone(self.hosts["h1"].roles.get(other["id"]))
        self.assertEqual(hv.RUNNING, self._domain("h1"))

    def test_no_guest_is_ended_before_its_peer_is_given_up(self):
        self.flags(leave_timeout=1.0, group="colo")
        self.detacher.enabled = False
        rebuild = {"rebuild": {"imageRef": self.glance.auto_disk_config_enabled_image["id"]}}
        for number, action in enumerate(({"os-stop": None}, HARD, rebuild), 1):
            self.act(self.server["id"], action)
            self._wait_for(
                lambda number=number: (
                    self.stdlog.logger.output.count("Not stopping or changing the guest") == number
                )
            )
            after = self._wait_for_server_parameter(self.server, {"OS-EXT-STS:task_state": None})
            self.assertEqual("ACTIVE", after["status"])
            self.assertEqual(hv.RUNNING, self._domain("h1"))
            self.assertEqual((Role.PRIMARY, "h2"), self._role_and_peer("h1"))
        self._wait_for_log(".*its secondary was not removed within 1 s.*Check that nova-colo-engine.*")
        self._assert_no_host_in_faults()

    def test_before_what_a_pair_cannot_bear_it_is_left(self):
        """As from a nova-api without the filter."""
        driver, instance = self.hosts["h1"].driver, FakeInstance(self.server["id"])
        roles = []

        def change(*args, **kwargs):
            roles.append(self._role_and_peer("h1"))

        for name, arguments in CHANGES.items():
            self.hosts["h1"].roles.put(RoleRecord(self.server["id"], Role.PRIMARY, 0, "h2"))
            arguments = [instance if argument == "instance" else argument for argument in arguments]
            with mock.patch.object(nova_fake.FakeDriverWithoutFakeNodes, name, change):
                getattr(driver, name)(*arguments)
                self.assertEqual((Role.LEAVING, None), roles.pop(), name)
                self.assertIsNone(self.hosts["h1"].roles.get(self.server["id"]))

    def test_requests_that_overlap_leave_the_pair_once_and_it_is_renewed_after_the_last(self):
        driver, instance = self.hosts["h1"].driver, FakeInstance(self.server["id"])

        def snapshot(*args):
            driver.suspend(None, instance)  # as LibvirtDriver.snapshot does without live snapshots
            self.assertEqual((Role.LEAVING, None), self._role_and_peer("h1"))

        self.hosts["h1"].roles.put(RoleRecord(self.server["id"], Role.PRIMARY, 0, "h2"))
        with mock.patch.object(nova_fake.FakeDriverWithoutFakeNodes, "snapshot", side_effect=snapshot):
            driver.snapshot(None, instance, "image", None)
        self.assertIsNone(self.hosts["h1"].roles.get(self.server["id"]))

    def test_the_old_primary_is_not_changed_while_records_still_name_it(self):
        self.hosts["h1"].agent.demote({}, self.server["id"], 1)
        driver, instance = self.hosts["h1"].driver, FakeInstance(self.server["id"])
        for name, arguments in CHANGES.items():
            arguments = [instance if argument == "instance" else argument for argument in arguments]
            self.assertRaisesRegex(
                exception.NovaException, "it has just failed over", getattr(driver, name), *arguments
            )

    def test_a_suspend_that_is_refused_leaves_the_server_as_it_is(self):
        self.flags(leave_timeout=1.0, group="colo")
        self.detacher.enabled = False
        self.assertEqual(202, self.act(self.server["id"], {"suspend": None}, stock=True).status_int)
        self._wait_for_log(".*its secondary was not removed.*")
        self._wait_for_server_parameter(self.server, {"status": "ACTIVE", "OS-EXT-STS:task_state": None})

    def test_what_a_pair_cannot_bear_is_not_done_if_it_cannot_be_left(self):
        driver, instance = self.hosts["h1"].driver, FakeInstance(self.server["id"])
        self.flags(leave_timeout=1.0, group="colo")
        self.detacher.enabled = False
        with mock.patch.object(nova_fake.FakeDriverWithoutFakeNodes, "pause") as pause:
            self.assertRaisesRegex(
                exception.NovaException, "its secondary was not removed", driver.pause, instance
            )
        pause.assert_not_called()
        self.assertEqual((Role.PRIMARY, "h2"), self._role_and_peer("h1"))

    def test_the_pair_is_left_before_a_port_that_was_deleted_in_neutron_is_detached(self):
        port = self.neutron.create_port({"port": self.neutron.port_2})["port"]["id"]
        attached = self.request(
            "POST",
            f"/servers/{self.server['id']}/os-interface",
            {"interfaceAttachment": {"port_id": port}},
            stock=True,
        )
        self.assertEqual(200, attached.status_int, attached.text)
        self.hosts["h1"].roles.put(RoleRecord(self.server["id"], Role.PRIMARY, 0, "h2"))
        event = {"name": "network-vif-deleted", "server_uuid": self.server["id"], "tag": port}
        self.assertEqual(
            200, self.request("POST", "/os-server-external-events", {"events": [event]}).status_int
        )
        self._wait_for(lambda: self.hosts["h1"].roles.get(self.server["id"]) is None)

    def test_a_failover_wins_over_a_reboot_that_waits(self):
        self.detacher.enabled = False
        self.api.post_server_action(self.server["id"], HARD)
        self._wait_for(lambda: self._role_and_peer("h1") == (Role.LEAVING, "h2"))
        self.hosts["h1"].agent.demote({}, self.server["id"], 1, expected=0)
        self._wait_for_log(".*its secondary has just taken over.*")
        self._wait_for_server_parameter(self.server, {"status": "ACTIVE", "OS-EXT-STS:task_state": None})
        self.assertEqual((Role.DEMOTED, None), self._role_and_peer("h1"))

    def test_a_stop_that_was_asked_for_before_a_failover_stops_nothing(self):
        self.hosts["h1"].agent.demote({}, self.server["id"], 1, expected=0)
        self.act(self.server["id"], {"os-stop": None})
        self._wait_for_log(".*it has just failed over. Try again when Nova names its new host.*")
        self._wait_for_server_parameter(self.server, {"status": "ACTIVE", "OS-EXT-STS:task_state": None})
        self.assertEqual((Role.DEMOTED, None), self._role_and_peer("h1"))

    def test_a_deletion_waits_for_nobody(self):
        self.detacher.enabled = False
        self._delete_server(self.server)
        self.assertIsNone(self._domain("h1"))
        self.assertEqual(0, self.detacher.polls)

    def test_a_nova_compute_that_ended_while_it_was_leaving_stays_in_the_pair(self):
        roles = self.hosts["h1"].roles
        roles.put(dataclasses.replace(roles.get(self.server["id"]), role=Role.LEAVING))
        self.start_host("h1")
        self.assertEqual((Role.PRIMARY, "h2"), self._role_and_peer("h1"))
        roles.put(RoleRecord(self.server["id"], Role.LEAVING, 0))
        self.start_host("h1")
        self.assertIsNone(roles.get(self.server["id"]))

    def test_what_is_leaving_is_not_protected_anew_nor_moved(self):
        self.hosts["h1"].roles.put(RoleRecord(self.server["id"], Role.LEAVING, 0))
        spec = {
            "server_id": self.server["id"],
            "name": "s",
            "epoch": 0,
            "primary_host": "h1",
            "secondary_host": "h3",
        }
        self.assertRaises(ReplicationError, self.hosts["h1"].agent.start_replication, {}, spec, {})
        self.move(self.server, {"os-migrateLive": {"host": "h3", "force": True, "block_migration": "auto"}})
        self._wait_for_server_parameter(self.server, {"OS-EXT-STS:task_state": None, "status": "ACTIVE"})
        self.assertEqual("h1", self.nova_record(self.server)[2])

    def _role_and_peer(self, host):
        record = self.hosts[host].roles.get(self.server["id"])
        return record.role, record.peer

    def _wait_for(self, look):
        deadline = time.monotonic() + patient(20)
        while not look():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)


@pytest.mark.surface
class LibvirtPairsAreLeftAloneTest(ColoLibvirtTestCase):
    """With the libvirt driver on fakelibvirt."""

    def setUp(self):
        super().setUp()
        self.server = self.ft_server("h1", networks="auto")
        self.secondary = self.make_secondary(self.server, "h1", "h2")

    def _emit(self, host, transition, server=None):
        self.hosts[host].driver.emit_event(event.LifecycleEvent((server or self.server)["id"], transition))

    def _count_events(self, word):
        return self.stdlog.logger.output.count(f"VM {word} (Lifecycle Event)")

    def test_the_packets_of_ft_servers_alone_pass_through_qemu(self):
        defined = []
        stock = fakelibvirt.Connection.defineXML
        spy = lambda connection, xml: defined.append(xml) or stock(connection, xml)  # noqa: E731
        self.useFixture(fixtures.MockPatchObject(fakelibvirt.Connection, "defineXML", spy))
        self.flags(virt_type="kvm", group="libvirt")
        self.ft_server("h1", networks="auto")
        self._create_server(flavor_id=self._create_flavor(), host="h1", networks="auto")
        assert ['<driver name="qemu"/>' in xml for xml in defined] == [True, False], defined

    def test_a_secondary_is_hidden(self):
        driver = self.hosts["h2"].driver
        self.assertEqual(
            ([], [], 0), (driver.list_instances(), driver.list_instance_uuids(), driver.get_num_instances())
        )
        self._run_periodics()
        self.assertTrue(self.secondary.isActive())

    def test_checkpoints_are_not_news_to_nova(self):
        before = [self._count_events(word) for word in ("Paused", "Resumed", "Stopped")]
        for _ in range(3):
            self._emit("h1", event.EVENT_LIFECYCLE_PAUSED)
            self._emit("h1", event.EVENT_LIFECYCLE_RESUMED)
            self._emit("h2", event.EVENT_LIFECYCLE_PAUSED)
        self._emit("h1", event.EVENT_LIFECYCLE_STOPPED)
        self.assertEqual(before, [self._count_events(word) for word in ("Paused", "Resumed", "Stopped")])
        self.assertEqual(("ACTIVE", None, "h1"), self.nova_record(self.server))
        plain = self._create_server(
            flavor_id=self._create_flavor(disk=1, memory_mb=256), host="h1", networks="none"
        )
        self._emit("h1", event.EVENT_LIFECYCLE_PAUSED, plain)
        self.assertEqual(before[0] + 1, self._count_events("Paused"))

    def test_a_primary_that_has_ended_can_be_deleted(self):
        self.domain("h1", self.server).destroy()
        self._delete_server(self.server)
        self.assertIsNone(self.domain("h1", self.server))
        self.assertTrue(self.secondary.isActive())

    def test_a_primary_that_has_ended_can_be_stopped_but_not_started_while_its_peer_may_run(self):
        self.domain("h1", self.server).destroy()
        self._stop_server(self.server)
        self.api.post_server_action(self.server["id"], {"os-start": None})
        self._wait_for_log(".*its peer may run on another host.*")
        self._wait_for_server_parameter(self.server, {"OS-EXT-STS:task_state": None})
        self.assertFalse(self.domain("h1", self.server).isActive())
        self.assertTrue(self.secondary.isActive())

    def test_a_primary_can_be_stopped(self):
        self._stop_server(self.server)
        self.assertFalse(self.domain("h1", self.server).isActive())
        self.assertIsNone(self.hosts["h1"].roles.get(self.server["id"]))

    def test_a_host_that_returns_from_the_dead_does_not_start_what_runs_elsewhere(self):
        self.flags(resume_guests_state_on_host_boot=True)
        self.domain("h1", self.server).destroy()
        self.set_role("h2", self.server, Role.PROMOTED, epoch=1)
        self.restart_host("h1")
        self.assertFalse(self.domain("h1", self.server).isActive())
        self.act(self.server["id"], HARD)
        self._wait_for_log(".*its peer may run on another host.*unprotect the server.*")
        self._wait_for_server_parameter(self.server, {"status": "ACTIVE", "OS-EXT-STS:task_state": None})
        self.assertFalse(self.domain("h1", self.server).isActive())

    def test_a_guest_is_not_started_from_a_disk_that_lacks_data_and_is_when_it_is_complete(self):
        driver, commits = self.hosts["h1"].driver, self.hosts["h1"].driver._commits
        instance = FakeInstance(self.server["id"])
        self.hosts["h1"].roles.delete(self.server["id"])
        commits.put(self.server["id"], [DiskFile("/disk", "raw")])
        with mock.patch.object(mixin, "COMMIT_S", 0.5):
            refusal = self.assertRaises(
                exception.InstancePowerOnFailure, driver.power_on, None, instance, None
            )
        self.assertIn("its disk is incomplete after a failover", str(refusal))
        commits.delete(self.server["id"])
        self.assertEqual("", driver._disk_refusal(instance))

    def test_the_last_gate_holds_whichever_way_a_guest_is_started(self):
        driver = self.hosts["h1"].driver
        for role in (Role.DEMOTED, Role.SECONDARY, Role.PROMOTED):
            self.set_role("h1", self.server, role, epoch=1)
            instance = FakeInstance(self.server["id"])
            self.assertRaises(
                exception.InstancePowerOnFailure, driver._create_guest, None, "<domain/>", instance
            )


class FakeInstance(dict):
    """The part of an instance that the driver and oslo.log read."""

    def __init__(self, uuid):
        super().__init__(uuid=uuid, name="instance-1")
        self.uuid = uuid
