# SPDX-License-Identifier: Apache-2.0
"""An os-vif plugin for the lab's real hosts: each card in a bridge of its own, joined to the bridge of the guests' network.

A tap device made here would be refused by libvirt, which makes its own; so it gets a bridge to put that in.
"""

import subprocess
from typing import Any

from os_vif import objects, plugin

#: The host's bridge that has the uplink: lab.machines.host.BRIDGE, which this process need not import.
BRIDGE = "br-guest"


def _ip(*arguments: str) -> None:
    subprocess.run(("ip", *arguments), check=True, capture_output=True)


def _exists(device: str) -> bool:
    # /sys is this machine's, not the host's
    return subprocess.run(("ip", "link", "show", device), capture_output=True, check=False).returncode == 0


class FlatBridge(plugin.PluginBase):
    """Plugs VIFBridge."""

    def describe(self) -> objects.host_info.HostPluginInfo:
        """Say which kind of VIF it plugs."""
        kind = objects.host_info.HostVIFInfo(
            vif_object_name=objects.vif.VIFBridge.__name__, min_version="1.0", max_version="1.0"
        )
        return objects.host_info.HostPluginInfo(plugin_name="ivs", vif_info=[kind])

    def plug(self, vif: Any, instance_info: Any) -> None:
        """Make the card's bridge, and join it; nothing happens when that was done before."""
        own, inner, outer = _names(vif)
        if not _exists(own):
            _ip("link", "add", own, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        if not _exists(inner):
            _ip("link", "add", inner, "type", "veth", "peer", "name", outer)
        _ip("link", "set", inner, "master", own, "up")
        _ip("link", "set", outer, "master", BRIDGE, "up")
        _ip("link", "set", own, "up")

    def unplug(self, vif: Any, instance_info: Any) -> None:
        """Remove the card's bridge; no error when it is gone."""
        own, inner, _ = _names(vif)
        for device in (inner, own):
            if _exists(device):
                _ip("link", "delete", device)


def _names(vif: Any) -> tuple[str, str, str]:
    """Return the names of a card's bridge and of the two ends of its cable to the host's, no longer than Linux takes."""
    return vif.bridge_name, f"qvb{vif.id}"[:14], f"qvo{vif.id}"[:14]
