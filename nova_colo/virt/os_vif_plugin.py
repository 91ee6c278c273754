# SPDX-License-Identifier: Apache-2.0
"""An os-vif plugin that plugs nothing, but makes stock nova-compute find our drivers.

os-vif loads all plugins by their entry points, and nova.cmd.compute.main initializes os-vif before it loads
the driver.
"""

import sys
from typing import Any

from os_vif import objects, plugin

from nova_colo.virt import driver_loader


class DriverFinder(plugin.PluginBase):
    """Makes nova.virt.colo importable in nova-compute.

    Does nothing in other processes with os-vif, such as Neutron's.
    """

    @classmethod
    def load(cls, plugin_name: str) -> "DriverFinder":
        """Make the drivers importable; called by os_vif.initialize()."""
        if "nova.cmd.compute" in sys.modules:
            driver_loader.install()
        return super().load(plugin_name)

    def describe(self) -> objects.host_info.HostPluginInfo:
        """Return that it supports no type of VIF."""
        return objects.host_info.HostPluginInfo(plugin_name="nova_colo", vif_info=[])

    def plug(self, vif: Any, instance_info: Any) -> None:
        """Do nothing; os-vif never calls it."""

    def unplug(self, vif: Any, instance_info: Any) -> None:
        """Do nothing; os-vif never calls it."""
