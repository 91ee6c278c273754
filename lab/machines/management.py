# SPDX-License-Identifier: Apache-2.0
"""This machine's own place in a bed's management network: the broker listens on it, and tests reach the agents from it."""

import fcntl
import os
from pathlib import Path

from lab.core.addresses import OWN, management
from lab.core.command import run
from lab.core.errors import LabError
from lab.machines.network import MANAGEMENT, Switch

PORT = f"{MANAGEMENT}-root"
NETWORKS = range(256)
#: This machine is in the management networks of all beds that are up: each has to be another one. Held while one is chosen.
LOCK = Path("/run/colo-bed.lock")


def interface(mark: str) -> str:
    """Return the name of this machine's end of the cable to a bed's, or a lab's, management network.

    :param mark: what the names of its namespaces begin with
    """
    return f"{mark}-m"


class Management:
    """The cable between this machine and a bed's management network, which is 10.79.0.0/24 or the next that is not in use.

    :ivar interface: this machine's end of it
    """

    def __init__(self, switch: Switch, interface: str, network: int | None = None) -> None:
        """Describe it.

        :param network: the third number of its addresses; by default one is chosen when the cable is laid
        """
        self._switch = switch
        self.interface = interface
        self._chosen = network
        self._network = network

    @property
    def network(self) -> int:
        """The third number of all addresses in it. Raises LabError unless the bed is up."""
        if self._network is None:
            raise LabError("the management network is not there: the bed is not up")
        return self._network

    @property
    def own_address(self) -> str:
        """This machine's address."""
        return self.address(OWN)

    def address(self, number: int) -> str:
        """Return the address with that last number."""
        return management(self.network, number)

    def is_plugged_in(self) -> bool:
        """Tell whether the cable is laid."""
        return self._switch.has(PORT)

    def plug_in(self) -> None:
        """Choose a network, unless that was done, and lay the cable. Raises LabError when somebody else is in it by now."""
        with LOCK.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._network = self._chosen if self._chosen is not None else free_network()
            if _is_in_use(self._network):
                raise LabError(
                    f"somebody else has taken the network {management(self._network, 0)}/24; try again"
                )
            self._switch.lay_cable(MANAGEMENT, PORT, str(os.getpid()), self.interface)
            run("ip", "address", "add", f"{self.own_address}/24", "dev", self.interface)
        run("ip", "link", "set", self.interface, "up")

    def unplug(self) -> None:
        """Take the cable away, if it is there."""
        self._switch.unplug(PORT)
        self._network = self._chosen


def free_network() -> int:
    """Return the first management network that this machine is not in. Raises LabError when there is none."""
    for number in NETWORKS:
        if not _is_in_use(number):
            return number
    raise LabError("no management network is free")


def _is_in_use(number: int) -> bool:
    return bool(run("ip", "-o", "-4", "address", "show", "to", management(number, 0) + "/24"))
