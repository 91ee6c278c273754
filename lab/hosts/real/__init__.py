# SPDX-License-Identifier: Apache-2.0
"""Real compute hosts: network namespaces, each with its own libvirtd, nova-compute and agent."""

from lab.hosts.real.host import RealHost
from lab.hosts.real.testbed import CloudTestbed

__all__ = ["CloudTestbed", "RealHost"]
