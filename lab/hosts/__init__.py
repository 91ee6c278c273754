# SPDX-License-Identifier: Apache-2.0
"""Compute hosts.

A kind of host is a class with the methods of :class:`ComputeHost`, which hides all differences between the
kinds. :class:`lab.hosts.simulated.SimulatedHost` is a few processes on loopback with Nova's fake driver,
:class:`lab.hosts.real.RealHost` a machine of its own with libvirt.
"""

from collections.abc import Mapping
from typing import Protocol

from lab.core.service import Service


class ComputeHost(Protocol):
    """One compute host of a lab."""

    name: str

    def prepare(self) -> None:
        """Write its configuration and create its folders. Idempotent."""

    def services(self) -> list[Service]:
        """Return the services that run on it."""

    def start(self) -> None:
        """Power it on, unless it is on; do not wait until its services answer."""

    def stop(self) -> None:
        """Stop its services gracefully; its guests and its disk remain."""

    def kill(self) -> None:
        """Power it off: all processes end, its memory is lost, its disk remains."""

    def env(self) -> Mapping[str, str]:
        """Return additional environment variables of its processes."""
