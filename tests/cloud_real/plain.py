# SPDX-License-Identifier: Apache-2.0
"""A plain server, as its users see it."""

from tests.cloud_real.nova_server import NETWORK, PATIENCE, NovaServer
from tests.fixtures.cloud import Cloud


class PlainServer(NovaServer):
    """A server of an ordinary flavor, whose guest answers."""

    def __init__(self, cloud: Cloud):
        super().__init__(cloud, "plain", "m1.nano")
        self._client = cloud.lab.rack().client
        self.answers()

    def addresses(self) -> list[str]:
        """Return those of its ports."""
        return [found["addr"] for found in self.as_nova_shows_it["addresses"][NETWORK]]

    def answers(self) -> None:
        """Assert that its guest does, memory and disk whole."""
        address = self.addresses()[0]
        self._client.wait_for_answer(address, PATIENCE)
        assert self._client.ask(address, "v").startswith("ok")
