# SPDX-License-Identifier: Apache-2.0
"""The configuration of fault tolerance: engine, paste filter, agents."""

from lab.config import common
from lab.config.ini import Sections
from lab.spec import Spec

#: After a restart of the broker hosts are heard again within two seconds of each other, and not of half a minute.
BROKER: Sections = {"oslo_messaging_rabbit": {"rabbit_interval_max": 2}}


def engine_conf(spec: Spec) -> Sections:
    """Return nova-colo.conf, which the engine, nova-colo-manage and the filter in nova-api read."""
    auth = spec.service_auth()
    return {
        "DEFAULT": {**common.logging(), "transport_url": spec.transport_url()},
        **BROKER,
        "database": common.database(spec, "nova_colo"),
        "nova": auth,
        "placement": auth,
        # shorter than a cloud would have them: what a person does here is to be seen at once
        "engine": {"nova_poll_interval": 2, "lease_time": 4, "repair_interval": 10},
    }


def agent_conf(spec: Spec, host: str) -> Sections:
    """Return the configuration of the agent on ``host``, whose disk is the host's folder."""
    return {
        "DEFAULT": {
            **common.logging(),
            "transport_url": spec.transport_url(),
            "host": host,
            "state_path": spec.layout.host(host) / "state",
        },
        **BROKER,
        "simulated": {"directory": spec.layout.simulated},
    }
