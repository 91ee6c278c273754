# SPDX-License-Identifier: Apache-2.0
"""A server of Nova's, as its users see and control it."""

import uuid
from typing import Any

from tests.fixtures.cloud import Cloud, wait_for

#: Timeout in seconds of each action on a machine without KVM.
PATIENCE = 180.0
NETWORK = "demo-net"


class NovaServer:
    """A server, created and ACTIVE.

    :param kind: prefix of its name
    :param nics: number of its NICs
    :param more: further arguments of :meth:`tests.fixtures.cloud.Cloud.create_server`
    :ivar name: its name
    :ivar id: its UUID
    """

    def __init__(self, cloud: Cloud, kind: str, flavor: str, nics: int = 1, **more: Any):
        self._cloud = cloud
        self.name = f"{kind}-{uuid.uuid4().hex[:8]}"
        self.id: str = cloud.create_server(self.name, flavor, [NETWORK] * nics, **more)

    @property
    def as_nova_shows_it(self) -> dict[str, Any]:
        """Return the server as Nova shows it to admin."""
        return self._cloud.server(self.name)

    @property
    def host(self) -> str:
        """Return the host in Nova's record of the server."""
        return self.as_nova_shows_it["OS-EXT-SRV-ATTR:host"]

    def act(self, action: str, argument: Any = None) -> None:
        """POST an action as admin."""
        answer = self._cloud.act(self.id, {action: argument})
        assert answer.status_code in (200, 202, 204), answer.text  # 200 is for an evacuation

    def in_status(self, status: str) -> None:
        """Wait until Nova shows a status, without a task."""

        def is_so() -> bool:
            server = self.as_nova_shows_it
            assert server["status"] != "ERROR", server["fault"]
            return server["status"] == status and server["OS-EXT-STS:task_state"] is None

        wait_for(f"it is {status}", PATIENCE, is_so)

    def ask_to_delete(self) -> None:
        """Send the request to delete it."""
        answer = self._cloud.request("DELETE", f"/servers/{self.id}")
        assert answer.status_code in (204, 404), answer.text

    def delete(self) -> None:
        """Delete it, and wait until it is gone."""
        self.ask_to_delete()
        gone = lambda: self._cloud.request("GET", f"/servers/{self.id}").status_code == 404  # noqa: E731
        wait_for(f"{self.name} is deleted", PATIENCE, gone)
