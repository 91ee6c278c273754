# SPDX-License-Identifier: Apache-2.0
"""Hosts with a real hypervisor, without a cloud: where QEMU COLO is developed and tested.

A :class:`Testbed` is a few network namespaces that act as machines: hosts with a libvirtd of their own, and a
client that talks to the guests. Guests are tiny, real Linux systems under QEMU. Nothing in here knows COLO; a
guest is started as any operator would start it, but for the two workarounds of :mod:`lab.hosts.colo.domain`,
without which QEMU's emulator spoils COLO. :: with Testbed(Path(".lab/colo"), hosts=("a", "b")) as bed: guest
= Guest("web", number=100) bed.hosts["a"].start_guest(guest) bed.client.wait_for_answer(guest.address) with
bed.client.count(guest.address) as counting: bed.hosts["a"].replication.cut() ... print(counting.stats())
"""

from lab.hosts.colo.bed import Testbed
from lab.hosts.colo.client import Client, Counting, Stats
from lab.hosts.colo.domain import Guest, domain_xml
from lab.hosts.colo.host import Host
from lab.hosts.colo.image import GuestImage
from lab.hosts.colo.network import Link

__all__ = ["Client", "Counting", "Guest", "GuestImage", "Host", "Link", "Stats", "Testbed", "domain_xml"]
