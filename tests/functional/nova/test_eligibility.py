# SPDX-License-Identifier: Apache-2.0
"""Requests for servers that cannot be fault tolerant are refused at once, with all their problems."""

import sqlalchemy as sa
from nova import context
from nova.tests.fixtures import CinderFixture, NeutronFixture

from nova_colo.pair.model import State, Wanted
from tests.functional.nova.harness import OTHER_PROJECT, ColoTestCase

IMAGE = "155d900f-4e14-4e4c-a73d-069cbf4541e6"


class EligibilityTest(ColoTestCase):
    host_names = ("h1", "h2")

    def setUp(self):
        super().setUp()
        for port in (self.neutron.sriov_port, self.neutron.port_2):
            self.neutron._ports[port["id"]] = dict(port)

    def create(self, flavor, image=IMAGE, version="2.67", user="admin", project=None, stock=False, **server):
        body = {"server": {"name": "s", "imageRef": image, "flavorRef": flavor, "networks": "none"} | server}
        kwargs = {"project": project} if project else {}
        return self.request("POST", "/servers", body, version=version, user=user, stock=stock, **kwargs)

    def image(self, **properties):
        """Register an image like Nova's first one and return its id."""
        like = self.glance.show(None, IMAGE)
        image = {**like, "id": None, "properties": {**like["properties"], **properties}}
        del image["id"]
        return self.glance.create(context.get_admin_context(), image)["id"]

    def attach(self, server, volume):
        self.api.post_server_volume(server["id"], {"volumeAttachment": {"volumeId": volume}})
        self._wait_for_volume_attach(server["id"], volume)
        self.notifier.wait_for_versioned_notifications("instance.volume_attach.end")

    def assert_refused(self, answer, *parts):
        self.assertEqual(400, answer.status_int, answer.text)
        refusal = answer.json["badRequest"]
        self.assertTrue(refusal["message"].startswith("The server cannot be fault tolerant. "), refusal)
        for part in parts:
            self.assertIn(part, refusal["message"])
        self.assertEqual("cannot_be_fault_tolerant", refusal["details"]["code"])
        codes = [problem["code"] for problem in refusal["details"]["params"]["problems"]]
        self.assertEqual(len(parts), len([code for code in codes if code != "other_flavor"]), codes)

    def assert_made(self, answer):
        self.assertEqual(202, answer.status_int, answer.text)
        self._wait_for_state_change(answer.json["server"], "ACTIVE")

    def servers(self):
        return self.request("GET", "/servers").json["servers"]

    def test_all_problems_are_named_at_once(self):
        flavor = self.ft_flavor(
            hw__numa_nodes="2", hw__mem_page_size="large", resources__VGPU="1", pci_passthrough__alias="gpu:1"
        )
        image = self.image(hw_tpm_version="2.0", hw_tpm_model="tpm-crb")
        port = {"port": self.neutron.sriov_port["id"]}
        mapping = {"source_type": "blank", "destination_type": "volume", "volume_size": 1, "boot_index": -1}
        boot = {"source_type": "image", "destination_type": "local", "uuid": image, "boot_index": 0}
        answer = self.create(flavor, image, networks=[port], block_device_mapping_v2=[boot, mapping])
        self.assert_refused(
            answer,
            "It has a new volume",
            "of the type direct",
            "hw:mem_page_size=large",
            "hw:numa_nodes=2",
            "pci_passthrough:alias",
            "resources:VGPU",
            "hw_tpm_model=tpm-crb",
            "hw_tpm_version=2.0",
        )
        self.assertTrue(answer.json["badRequest"]["message"].endswith("Or use a flavor without ft:enabled."))
        self.assertEqual([], self.servers())

    def test_a_server_on_a_volume_is_refused_in_either_syntax(self):
        flavor = self.ft_flavor()
        volume = CinderFixture.IMAGE_BACKED_VOL
        new = [{"source_type": "volume", "destination_type": "volume", "uuid": volume, "boot_index": 0}]
        old = [{"device_name": "vda", "volume_id": volume}]
        self.assert_refused(
            self.create(flavor, "", block_device_mapping_v2=new), f"It boots from volume {volume}"
        )
        self.assert_refused(
            self.create(flavor, "", block_device_mapping=old), f"It boots from volume {volume}"
        )
        snapshot = self.image(
            block_device_mapping=[{"boot_index": 0, "source_type": "snapshot", "snapshot_id": "snap"}]
        )
        self.assert_refused(self.create(flavor, snapshot), "It boots from a volume of snapshot snap")

    def test_ports_that_the_hypervisor_does_not_see_are_refused_and_named(self):
        guaranteed = NeutronFixture.port_with_resource_request["id"]
        answer = self.create(self.ft_flavor(), networks=[{"port": guaranteed}], version="2.72", user="member")
        self.assert_refused(answer, f"Port {guaranteed} has guaranteed resources")

    def test_an_ordinary_ft_server_is_made(self):
        local = {"source_type": "blank", "destination_type": "local", "volume_size": 1, "boot_index": -1}
        boot = {"source_type": "image", "destination_type": "local", "uuid": IMAGE, "boot_index": 0}
        flavor = self._create_flavor(
            disk=1, ephemeral=1, extra_spec={"ft:enabled": "true", "hw:cpu_policy": "shared"}
        )
        ports = [{"port": port["id"]} for port in (self.neutron.port_1, self.neutron.port_2)]
        answer = self.create(flavor, networks=ports, block_device_mapping_v2=[boot, local])
        self.assert_made(answer)

    def test_a_policy_that_hides_extra_specs_hides_nothing_from_us(self):
        hidden = ("os-flavor-extra-specs:index", "servers:show:flavor-extra-specs")
        self.policy.set_rules({f"os_compute_api:{name}": "!" for name in hidden}, overwrite=False)
        self.assert_refused(
            self.create(self.ft_flavor(hw__cpu_policy="dedicated"), user="member"), "dedicated CPUs"
        )

    def test_the_other_name_of_the_path_and_the_legacy_endpoint_are_no_way_around(self):
        flavor = self.ft_flavor(hw__cpu_policy="dedicated")
        body = {"server": {"name": "s", "imageRef": IMAGE, "flavorRef": f"http://nova/flavors/{flavor}?x=1"}}
        self.assert_refused(self.request("POST", "/os-volumes_boot", body, version="2.1"), "dedicated CPUs")
        self.assert_refused(
            self.request("POST", f"/{OTHER_PROJECT}/servers", body, project=OTHER_PROJECT), "dedicated CPUs"
        )

    def test_what_nova_refuses_anyway_is_novas_byte_for_byte(self):
        private = self.ft_flavor(hw__cpu_policy="dedicated")
        self.api.api_post(
            f"/flavors/{private}/action",
            {"addTenantAccess": {"tenant": "nobody"}},
            check_response_status=[409],
        )
        for kwargs in (
            {"flavor": "nothing"},
            {"flavor": "1", "image": "155d900f-4e14-4e4c-a73d-069cbf4541e7"},
            {"flavor": "1", "networks": [{"port": "155d900f-4e14-4e4c-a73d-069cbf4541e8"}]},
            {"flavor": "1", "block_device_mapping_v2": "x"},
            {"flavor": {"id": 1}},
            {"flavor": self.ft_flavor(), "image": 7},
            {"flavor": self.ft_flavor(), "block_device_mapping": [7]},
            {"flavor": self.ft_flavor(), "networks": [7]},
        ):
            ours, stock = self.create(**kwargs), self.create(stock=True, **kwargs)
            self.assertEqual((stock.status, stock.body), (ours.status, ours.body))
        for body in (b"{server", {"server": []}, {"server": {"flavorRef": ""}}, [1], None):
            ours, stock = (self.request("POST", "/servers", body, stock=stock) for stock in (False, True))
            self.assertEqual((stock.status, stock.body), (ours.status, ours.body))

    def test_who_may_not_make_servers_hears_novas_own_answer(self):
        self.policy.set_rules({"os_compute_api:servers:create": "role:member"}, overwrite=False)
        self.assertEqual(
            403, self.create(self.ft_flavor(hw__cpu_policy="dedicated"), user="reader").status_int
        )

    def test_a_resize_that_would_make_an_ft_server_is_checked_as_a_create_is(self):
        server = self.plain_server(host="h1")
        volume = CinderFixture.IMAGE_BACKED_VOL
        self.attach(server, volume)
        answer = self.act(server["id"], {"resize": {"flavorRef": self.ft_flavor(hw__cpu_policy="dedicated")}})
        self.assert_refused(answer, f"It has volume {volume}", "dedicated CPUs")
        self.assertEqual(
            404,
            self.act(
                server["id"], {"resize": {"flavorRef": self.ft_flavor()}}, user="member", project="b" * 32
            ).status_int,
        )

    def test_a_rebuild_of_an_ft_server_is_checked_for_its_image(self):
        server = self.ft_server("h1")
        image = self.image(hw_mem_encryption="true")
        self.add_pair(server, wanted=Wanted.UNPROTECTED, state=State.UNPROTECTED)
        self.assert_refused(
            self.act(server["id"], {"rebuild": {"imageRef": image}}), "hw_mem_encryption=true"
        )
        self.assertEqual(202, self.act(server["id"], {"rebuild": {"imageRef": IMAGE}}).status_int)
        self._wait_for_server_parameter(server, {"OS-EXT-STS:task_state": None})

    def test_what_was_attached_to_an_unprotected_server_keeps_it_from_being_protected(self):
        server = self.ft_server("h1")
        self.add_pair(server, wanted=Wanted.UNPROTECTED, state=State.UNPROTECTED)
        self.attach(server, CinderFixture.IMAGE_BACKED_VOL)
        answer = self.act(server["id"], {"ft-protect": None})
        self.assertEqual(409, answer.status_int, answer.text)
        self.assertIn(CinderFixture.IMAGE_BACKED_VOL, answer.json["conflictingRequest"]["message"])
        self.assertEqual(Wanted.UNPROTECTED, self.pair(server).wanted)
        self.api.delete_server_volume(server["id"], CinderFixture.IMAGE_BACKED_VOL)
        self._wait_for_volume_detach(server["id"], CinderFixture.IMAGE_BACKED_VOL)
        self.assertEqual(202, self.act(server["id"], {"ft-protect": None}).status_int)

    def test_other_servers_cost_no_statement_of_ours(self):
        statements = []

        def note(connection, cursor, statement, *rest):
            if connection.engine.url.database == str(self.folder / "ft.db"):
                statements.append(statement)

        sa.event.listen(sa.Engine, "before_cursor_execute", note)
        try:
            answer = self.create("1")
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", note)
        self.assertEqual([], statements)
        self.assert_made(answer)
