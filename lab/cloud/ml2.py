# SPDX-License-Identifier: Apache-2.0
"""A mechanism driver for Neutron's ML2 plugin that binds every port at once: no layer 2 agent is needed.

Neutron loads it by an entry point of a distribution that the lab writes, since the product's own distribution
must not contain parts of the lab.
"""

from typing import Any

# neutron 29 with SQLAlchemy 2.1 answers 500 on GET /ports unless the backref Port.port_forwardings is
# configured.
from neutron.db import models_v2
from neutron.db.models import port_forwarding  # noqa: F401
from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins import directory
from neutron_lib.plugins.ml2 import api
from sqlalchemy import orm


class BindAll(api.MechanismDriver):
    """Bind any port on any host, and report it as plugged.

    :cvar VIF_TYPE: the VIF type of the binding
    :cvar VIF_DETAILS: the VIF details of the binding, for Nova
    """

    VIF_TYPE = portbindings.VIF_TYPE_OTHER
    VIF_DETAILS: dict[str, Any] = {portbindings.CAP_PORT_FILTER: False}

    def initialize(self) -> None:
        """Configure the mappers; see the import above."""
        orm.configure_mappers()

    @property
    def connectivity(self) -> str:
        """Return that the ports have layer 2 connectivity."""
        return str(portbindings.CONNECTIVITY_L2)

    def bind_port(self, context: Any) -> None:
        """Bind the port to the first segment offered."""
        segment = context.segments_to_bind[0]
        context.set_binding(
            segment[api.ID], self.VIF_TYPE, self.VIF_DETAILS, status=constants.PORT_STATUS_ACTIVE
        )

    def filter_hosts_with_segment_access(
        self, context: Any, segments: Any, candidate_hosts: Any, agent_getter: Any
    ) -> set[str]:
        """Return all hosts: each reaches every segment."""
        return set(candidate_hosts)


class BindToBridge(BindAll):
    """Bind any port on any host to the host's bridge of the guests' network; lab.hosts.real.vif plugs it.

    The guests of the lab's image have no DHCP client: with the MAC address fa:16:3e:4d:SS:NN they use the
    address 10.77.SS.NN. So a port gets the MAC address that belongs to its IP address.
    """

    VIF_TYPE = "ivs"  # the only bridged type that Nova leaves to an os-vif plugin
    VIF_DETAILS = {**BindAll.VIF_DETAILS, portbindings.OVS_HYBRID_PLUG: True}

    def create_port_precommit(self, context: Any) -> None:
        """Set the MAC address of a new port."""
        port = context.current
        if not port["fixed_ips"]:
            return
        *_, subnet, number = map(int, port["fixed_ips"][0]["ip_address"].split("."))
        port["mac_address"] = f"fa:16:3e:4d:{subnet:02x}:{number:02x}"
        row = context._plugin_context.session.get(models_v2.Port, port["id"])
        row.mac_address = port["mac_address"]

    def update_port_postcommit(self, context: Any) -> None:
        """Set a port that was bound to another host before to ACTIVE, since no agent does."""
        port = context.current
        if (
            port[portbindings.VIF_TYPE] == self.VIF_TYPE
            and port["status"] != constants.PORT_STATUS_ACTIVE
            and context.host
        ):
            plugin = directory.get_plugin()
            plugin.update_port_status(
                context._plugin_context, port["id"], constants.PORT_STATUS_ACTIVE, context.host
            )
