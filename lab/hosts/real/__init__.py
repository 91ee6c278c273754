# SPDX-License-Identifier: Apache-2.0
"""Compute hosts with a real hypervisor: network namespaces, each with a libvirtd, a nova-compute and an agent of its own."""

from lab.hosts.real.host import RealHost
from lab.hosts.real.rack import Rack

__all__ = ["Rack", "RealHost"]
