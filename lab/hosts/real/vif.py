# SPDX-License-Identifier: Apache-2.0
"""An os-vif plugin for the lab's real hosts.

Each VIF has its own bridge, connected to that of the guests' network. libvirt creates the tap device itself
and refuses an existing one, so the plugin creates a bridge for it.
"""

import subprocess
from typing import Any

from os_vif import objects, plugin

#: The host's bridge with the uplink, as lab.machines.host.BRIDGE, which this process does not import.
BRIDGE = "br-guest"


def _ip(*arguments: str) -> None:
    subprocess.run(("ip", *arguments), check=True, capture_output=True)


def _exists(device: str) -> bool:
    # not by /sys, which shows the devices of this machine, not of the host
    return subprocess.run(("ip", "link", "show", device), capture_output=True, check=False).returncode == 0


class FlatBridge(plugin.PluginBase):
    """Plug VIFs of type VIFBridge."""

    def describe(self) -> objects.host_info.HostPluginInfo:
        """Return the supported VIF type."""
        kind = objects.host_info.HostVIFInfo(
            vif_object_name=objects.vif.VIFBridge.__name__, min_version="1.0", max_version="1.0"
        )
        return objects.host_info.HostPluginInfo(plugin_name="ivs", vif_info=[kind])

    def plug(self, vif: Any, instance_info: Any) -> None:
        """Create and connect the VIF's bridge. Idempotent."""
        own, inner, outer = _names(vif)
        if not _exists(own):
            _ip("link", "add", own, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        if not _exists(inner):
            _ip("link", "add", inner, "type", "veth", "peer", "name", outer)
        _ip("link", "set", inner, "master", own, "up")
        _ip("link", "set", outer, "master", BRIDGE, "up")
        _ip("link", "set", own, "up")

    def unplug(self, vif: Any, instance_info: Any) -> None:
        """Remove the VIF's bridge, if it exists."""
        own, inner, _ = _names(vif)
        for device in (inner, own):
            if _exists(device):
                _ip("link", "delete", device)


def _names(vif: Any) -> tuple[str, str, str]:
    """Return the names of a VIF's bridge and of its veth pair, cut to the length that Linux allows."""
    return vif.bridge_name, f"qvb{vif.id}"[:14], f"qvo{vif.id}"[:14]
