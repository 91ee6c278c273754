# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ on a testbed's management network, for the hosts' agents."""

import json
import secrets

import kombu

from lab.cloud import services
from lab.cloud.config import rabbitmq
from lab.cloud.spec import Spec
from lab.core import ports
from lab.core.layout import Layout, write_private
from lab.core.patience import patient
from lab.core.process import Supervisor
from lab.core.state import State
from lab.core.waiting import wait_for
from lab.machines.management import Management

#: Different from the default ports of labs, and per testbed, so that later ones get their default ports.
PREFERRED_FROM = 15700
PORTS = ("rabbitmq", "rabbitmq-distribution", "epmd")


class Broker:
    """RabbitMQ, outside of all hosts. Its address and password are constant while the testbed is up.

    :ivar transport_url: URL for oslo.messaging, with the password
    """

    def __init__(self, layout: Layout, supervisor: Supervisor, management: Management) -> None:
        self._address = management.own_address
        first = PREFERRED_FROM + len(PORTS) * management.network
        chosen = ports.choose({name: number for number, name in enumerate(PORTS, start=first)})
        password = secrets.token_hex(16)
        self._spec = Spec(layout, State(hosts=[], ports=chosen), {"broker": password})
        self._supervisor = supervisor
        self.transport_url = f"rabbit://lab:{password}@{self._address}:{chosen['rabbitmq']}/"
        self._write()

    def start(self) -> None:
        """Start it, unless it runs, and wait until it accepts connections."""
        names = []
        for service in services.broker(self._spec, self._address):
            self._supervisor.start(service)
            names.append(service.name)

        def probe() -> None:
            with kombu.Connection(
                self.transport_url.replace("rabbit://", "amqp://"), connect_timeout=patient(5)
            ) as connection:
                connection.connect()

        wait_for("RabbitMQ to answer", probe, self._supervisor, names, seconds=120)

    def stop(self) -> None:
        """Stop it gracefully."""
        self._supervisor.stop(["rabbitmq"])

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._supervisor.kill(["rabbitmq"])

    def _write(self) -> None:
        layout = self._spec.layout
        write_private(layout.passwords_file, json.dumps(dict(self._spec.passwords), indent=2) + "\n")
        for name, text in rabbitmq.files(self._spec, self._address).items():
            write_private(layout.etc / name, text)
        (layout.prefix / "rabbitmq").mkdir(mode=0o700, exist_ok=True)
