# SPDX-License-Identifier: Apache-2.0
"""A plain server, as its users see it."""

import uuid
from typing import Any

from tests.cloud import Cloud, wait_for
from tests.e2e.server import PATIENCE

NETWORK = "demo-net"


class PlainServer:
    """A server of an ordinary flavor."""

    def __init__(self, cloud: Cloud):
        self._cloud = cloud
        self._client = cloud.lab.rack().client
        self.name = f"plain-{uuid.uuid4().hex[:8]}"
        options = ("--flavor", "m1.nano", "--image", "cirros", "--network", NETWORK, "--wait")
        self.id = cloud.openstack("server", "create", self.name, *options)["id"]
        self.answers()

    @property
    def seen(self) -> dict[str, Any]:
        """As Nova shows it."""
        return self._cloud.server(self.name)

    @property
    def host(self) -> str:
        """Where it runs."""
        return self.seen["OS-EXT-SRV-ATTR:host"]

    def act(self, action: str, argument: Any = None) -> None:
        answer = self._cloud.act(self.id, {action: argument})
        assert answer.status_code == 202, answer.text

    def becomes(self, status: str) -> None:
        """Wait until it has a status, with nothing under way."""
        wait_for(f"it is {status}", PATIENCE, lambda: self._is(status))

    def _is(self, status: str) -> bool:
        server = self.seen
        assert server["status"] != "ERROR", server["fault"]
        return server["status"] == status and server["OS-EXT-STS:task_state"] is None

    def answers(self) -> None:
        """Assert that its guest does, memory and disk whole."""
        (address, *_) = [found["addr"] for found in self.seen["addresses"][NETWORK]]
        self._client.wait_for_answer(address, PATIENCE)
        assert self._client.ask(address, "v").startswith("ok")

    def delete(self) -> None:
        self._cloud.request("DELETE", f"/servers/{self.id}")
        gone = lambda: self._cloud.request("GET", f"/servers/{self.id}").status_code == 404  # noqa: E731
        wait_for("it is deleted", PATIENCE, gone)
