# SPDX-License-Identifier: Apache-2.0
"""This machine's link to a testbed's management network, where the broker listens."""

import fcntl
import os
from pathlib import Path

from lab.core.addresses import OWN, management
from lab.core.command import run
from lab.core.errors import LabError
from lab.machines.network import MANAGEMENT, Switch

PORT = f"{MANAGEMENT}-root"
NETWORKS = range(256)
#: Held while a network is chosen. This machine is in those of all testbeds, so they must differ.
LOCK = Path("/run/colo-bed.lock")


def interface(mark: str) -> str:
    """Return the name of this machine's interface in the management network of a testbed or lab.

    :param mark: prefix of the names of its namespaces
    """
    return f"{mark}-m"


class Management:
    """The link between this machine and a testbed's management network, 10.79.0.0/24 or the next free one.

    :ivar interface: name of this machine's end
    """

    def __init__(self, switch: Switch, interface: str, network: int | None = None) -> None:
        """Describe the link.

        :param network: third number of its addresses; by default one is chosen by plug_in()
        """
        self._switch = switch
        self.interface = interface
        self._chosen = network
        self._network = network

    @property
    def network(self) -> int:
        """Third number of all its addresses. Raise LabError unless the testbed is up."""
        if self._network is None:
            raise LabError("there is no management network: the testbed is not up")
        return self._network

    @property
    def own_address(self) -> str:
        """This machine's address in it."""
        return self.address(OWN)

    def address(self, number: int) -> str:
        """Return the address with that last number."""
        return management(self.network, number)

    def is_plugged_in(self) -> bool:
        """Return whether the link exists."""
        return self._switch.has(PORT)

    def plug_in(self) -> None:
        """Choose a network, unless one was given, and create the link. Raise LabError if it is in use."""
        with LOCK.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._network = self._chosen if self._chosen is not None else free_network()
            if _is_in_use(self._network):
                raise LabError(f"the network {management(self._network, 0)}/24 is in use; try again")
            self._switch.add_link(MANAGEMENT, PORT, str(os.getpid()), self.interface)
            run("ip", "address", "add", f"{self.own_address}/24", "dev", self.interface)
        run("ip", "link", "set", self.interface, "up")

    def unplug(self) -> None:
        """Remove the link, if it exists."""
        self._switch.unplug(PORT)
        self._network = self._chosen


def free_network() -> int:
    """Return the first management network that this machine is not in. Raise LabError if there is none."""
    for number in NETWORKS:
        if not _is_in_use(number):
            return number
    raise LabError("no management network is free")


def _is_in_use(number: int) -> bool:
    return bool(run("ip", "-o", "-4", "address", "show", "to", management(number, 0) + "/24"))
