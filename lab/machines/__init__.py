# SPDX-License-Identifier: Apache-2.0
"""Hosts with real QEMU, without a cloud, to develop and test COLO in QEMU.

A :class:`Testbed` is a set of network namespaces that act as machines: hosts, each with its own libvirtd, and
a client that connects to the guests. Guests are small Linux systems under QEMU, started as an operator would,
except for the two workarounds of :mod:`lab.guest.domain`, without which COLO fails under TCG. Nothing in this
package depends on COLO.

::

    with Testbed(Path(".lab/try"), hosts=("a", "b")) as testbed:
        guest = Guest("web", number=100)
        testbed.hosts["a"].start_guest(guest)
        testbed.client.wait_for_answer(guest.address)
        with testbed.client.count(guest.address) as counting:
            testbed.hosts["a"].replication.cut()
            ...
            print(counting.stats())
"""

from lab.guest.domain import Guest, domain_xml
from lab.guest.image import GuestImage
from lab.machines.client import Client, Counting, Stats
from lab.machines.host import Host
from lab.machines.network import Link
from lab.machines.testbed import Testbed

__all__ = ["Client", "Counting", "Guest", "GuestImage", "Host", "Link", "Stats", "Testbed", "domain_xml"]
