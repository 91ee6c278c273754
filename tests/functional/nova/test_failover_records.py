# SPDX-License-Identifier: Apache-2.0
"""Nova's records follow a failover: what the compute driver makes of live migration and evacuation."""

from nova_colo.pair.model import Role
from tests.functional.nova.harness import ColoTestCase


class FailoverRecordsTest(ColoTestCase):
    def _promote(self, server, host):
        """What a failover's first steps do: the twin runs, its reservation is free for the server's own allocation."""
        self.hosts[host].agent.promote({}, server["id"], 1)
        self.release(server)

    def test_after_a_host_death_an_evacuation_adopts_the_twin(self):
        server = self.ft_server("h1")
        self.protect(server, "h2")
        self.power_cut("h1")
        self._promote(server, "h2")
        answer = self.act(server["id"], {"evacuate": {"host": "h2", "force": True}})
        self.assertEqual(200, answer.status_int, answer.text)
        after = self._wait_for_server_parameter(server, {"OS-EXT-SRV-ATTR:host": "h2", "status": "ACTIVE"})
        self.assertEqual(server["id"], after["id"])
        self.assertEqual(1, after["OS-EXT-STS:power_state"])
        self.assertEqual(Role.PRIMARY, self.hosts["h2"].roles.get(server["id"]).role)
