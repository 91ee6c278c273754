# SPDX-License-Identifier: Apache-2.0
"""How stock nova-compute finds our drivers without a command of ours: as an os-vif plugin that plugs nothing.

os-vif loads all its plugins, by their entry points, and nova.cmd.compute.main lets it do so before it loads its driver.
"""

import sys
from typing import Any

from os_vif import objects, plugin

from nova_colo.virt import driver_loader


class DriverFinder(plugin.PluginBase):
    """Makes nova.virt.colo importable in nova-compute and does nothing in other processes that use os-vif, as Neutron's."""

    @classmethod
    def load(cls, plugin_name: str) -> "DriverFinder":
        """Make the drivers known; called by os_vif.initialize()."""
        if "nova.cmd.compute" in sys.modules:
            driver_loader.install()
        return super().load(plugin_name)

    def describe(self) -> objects.host_info.HostPluginInfo:
        """Say that it has no kind of VIF."""
        return objects.host_info.HostPluginInfo(plugin_name="nova_colo", vif_info=[])

    def plug(self, vif: Any, instance_info: Any) -> None:
        """Do nothing; it is never asked."""

    def unplug(self, vif: Any, instance_info: Any) -> None:
        """Do nothing; it is never asked."""
