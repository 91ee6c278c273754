# SPDX-License-Identifier: Apache-2.0
"""A server that is not fault tolerant, as its users see it."""

from tests.cloud_real.nova_server import NETWORK, PATIENCE, NovaServer
from tests.fixtures.cloud import Cloud


class PlainServer(NovaServer):
    """A server of an ordinary flavor whose guest replies to its user."""

    def __init__(self, cloud: Cloud):
        super().__init__(cloud, "plain", "m1.nano")
        self._client = cloud.lab.testbed().client
        self.answers()

    def addresses(self) -> list[str]:
        """Return the addresses of its ports."""
        return [address["addr"] for address in self.as_nova_shows_it["addresses"][NETWORK]]

    def answers(self) -> None:
        """Assert that its guest replies, with memory and disk intact."""
        address = self.addresses()[0]
        self._client.wait_for_answer(address, PATIENCE)
        assert self._client.ask(address, "v").startswith("ok")
