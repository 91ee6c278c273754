# SPDX-License-Identifier: Apache-2.0
"""The usage of secondaries in Nova's own responses about usage."""

import datetime
import time

from lab.core.patience import patient
from nova_colo.db.models import Secondary
from nova_colo.pair.model import secondary_id
from tests.functional.nova.harness import OTHER_PROJECT, PROJECT, ColoTestCase


class UsageTest(ColoTestCase):
    host_names = ("h1", "h2")

    def setUp(self):
        super().setUp()
        self.server, self.plain = self.ft_server("h1"), self.plain_server(host="h1")
        self.now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        self.start = self.now - datetime.timedelta(hours=24)
        self._wait_for_nova_to_count_them()

    def _wait_for_nova_to_count_them(self):
        """Wait until Nova counts the servers: its periods end at a whole second."""
        for _ in range(round(patient(50))):
            if len(self.usage(f"/{PROJECT}?", stock=True).json["tenant_usage"].get("server_usages", ())) == 2:
                return
            time.sleep(0.1)
        self.fail("Nova does not count the two servers")

    def history(self, *entries):
        """Add secondaries of the FT server, given as hours from the period's start and their RAM."""
        with self.database.writer() as session:
            for begin, end, memory_mb in entries:
                session.add(
                    Secondary(
                        server_id=self.server["id"],
                        secondary_id=secondary_id(self.server["id"]),
                        project_id=PROJECT,
                        host="h2",
                        vcpus=1,
                        memory_mb=memory_mb,
                        disk_gb=1,
                        started_at=self.start + datetime.timedelta(hours=begin),
                        ended_at=None if end is None else self.start + datetime.timedelta(hours=end),
                    )
                )

    def usage(self, path, **kwargs):
        answer = self.request("GET", f"/os-simple-tenant-usage{path}start={self.start.isoformat()}", **kwargs)
        self.assertEqual(200, answer.status_int, answer.text)
        return answer

    def of_servers(self, usage):
        return {server["instance_id"]: server["ft_secondary_usage"] for server in usage["server_usages"]}

    def test_each_server_says_what_its_secondaries_have_used_in_the_period(self):
        self.history((-5, 3, 1024), (4, 6, 1024), (10, 11, 2048), (-9, -1, 4096), (23, None, 1024))
        for path, name in ((f"/{PROJECT}?", "tenant_usage"), ("?detailed=1&", "tenant_usages")):
            usage = self.usage(path).json[name]
            used = self.of_servers(usage if name == "tenant_usage" else usage[0])
            self.assertEqual([], used[self.plain["id"]])
            small, large = used[self.server["id"]]
            self.assertEqual(
                {
                    "instance_id": secondary_id(self.server["id"]),
                    "memory_mb": 1024,
                    "vcpus": 1,
                    "local_gb": 1,
                    "hours": 6.0,
                },
                small | {"hours": round(small["hours"], 1)},
            )
            self.assertEqual((2048, 1.0), (large["memory_mb"], round(large["hours"], 1)))

    def test_only_that_is_added_to_novas_answer(self):
        self.history((0, 1, 1024))
        ours, stock = (
            self.usage(f"/{PROJECT}?", stock=stock).json["tenant_usage"] for stock in (False, True)
        )
        # Nova counts until the present
        for changing in (
            "total_hours",
            "total_memory_mb_usage",
            "total_vcpus_usage",
            "total_local_gb_usage",
            "stop",
        ):
            del ours[changing], stock[changing]
        for server in ours["server_usages"]:
            del server["ft_secondary_usage"]
        for server in ours["server_usages"] + stock["server_usages"]:
            del server["hours"], server["uptime"]
        self.assertEqual(stock, ours)

    def test_what_has_no_servers_in_it_stays_as_it_is(self):
        for path in ("?", f"/{OTHER_PROJECT}?"):
            self.assertNotIn("ft_secondary_usage", self.usage(path).text)
        wrong, stock = (
            self.request("GET", "/os-simple-tenant-usage?start=x", stock=stock) for stock in (False, True)
        )
        self.assertEqual((stock.status, stock.body), (wrong.status, wrong.body))

    def test_nova_says_who_may_see_it(self):
        self.assertEqual(
            403,
            self.request(
                "GET", f"/os-simple-tenant-usage/{PROJECT}", user="reader", project=OTHER_PROJECT
            ).status_int,
        )
