# SPDX-License-Identifier: Apache-2.0
"""Where compute hosts live.

A kind of host is a class with the methods of :class:`ComputeHost`; everything that differs between kinds is behind it.
:class:`lab.hosts.simulated.SimulatedHost` is a few processes on loopback with Nova's fake driver,
:class:`lab.hosts.real.RealHost` a machine of its own with libvirt.
"""

from collections.abc import Mapping
from typing import Protocol

from lab.core.service import Service


class ComputeHost(Protocol):
    """One compute host of a lab."""

    name: str

    def prepare(self) -> None:
        """Write its configuration and whatever has to be there before it is switched on. May be repeated."""

    def services(self) -> list[Service]:
        """Return the services that run on it."""

    def start(self) -> None:
        """Switch it on, if it is not; returns before its services answer."""

    def stop(self) -> None:
        """End its services gracefully; its guests and its disk stay."""

    def kill(self) -> None:
        """Cut its power: nothing on it runs any more, its memory is gone, its disk stays."""

    def env(self) -> Mapping[str, str]:
        """Return the environment variables that its processes have besides the lab's own."""
