# SPDX-License-Identifier: Apache-2.0
"""A mechanism driver for Neutron's ML2 plugin that binds every port at once: no layer 2 agent is needed.

Neutron loads it by an entry point of a distribution that the lab writes for it: what is installed on a cloud knows no lab.
"""

from typing import Any

# neutron 29 with SQLAlchemy 2.1 answers 500 on GET /ports unless the backref Port.port_forwardings is configured.
from neutron.db.models import port_forwarding  # noqa: F401
from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api
from sqlalchemy import orm


class BindAll(api.MechanismDriver):
    """Binds any port on any host with VIF type ``other``, and says that it is plugged."""

    def initialize(self) -> None:
        """Configure the mappers: see the import above."""
        orm.configure_mappers()

    @property
    def connectivity(self) -> str:
        """Say that the ports have layer 2 connectivity."""
        return str(portbindings.CONNECTIVITY_L2)

    def bind_port(self, context: Any) -> None:
        """Bind the port to the first segment offered."""
        segment = context.segments_to_bind[0]
        details = {portbindings.CAP_PORT_FILTER: False}
        context.set_binding(segment[api.ID], portbindings.VIF_TYPE_OTHER, details, status=constants.PORT_STATUS_ACTIVE)

    def filter_hosts_with_segment_access(self, context: Any, segments: Any, candidate_hosts: Any, agent_getter: Any) -> set[str]:
        """Say that every host reaches every segment."""
        return set(candidate_hosts)
