# SPDX-License-Identifier: Apache-2.0
"""Neutron's configuration: its API alone, no agents."""

from lab.cloud.config import common
from lab.cloud.config.ini import Sections, render
from lab.cloud.spec import Spec
from lab.core.layout import VENV


def plugin_files(spec: Spec) -> dict[str, str]:
    """Return the files of a distribution, for PYTHONPATH, with an entry point for our mechanism driver."""
    folder = "neutron/colo_lab-0.dist-info"
    driver = "lab.cloud.ml2:BindToBridge" if spec.is_real else "lab.cloud.ml2:BindAll"
    entry_points = {"neutron.ml2.mechanism_drivers": {"lab_bind": driver}}
    metadata = "Metadata-Version: 2.1\nName: colo-lab\nVersion: 0\n"
    return {f"{folder}/METADATA": metadata, f"{folder}/entry_points.txt": render(entry_points)}


def neutron_conf(spec: Spec) -> Sections:
    """Return neutron.conf, with our mechanism driver (lab/cloud/ml2.py) and without a message bus."""
    return {
        "DEFAULT": {
            **common.logging(),
            "state_path": spec.layout.prefix / "neutron",
            "transport_url": "fake://",
            "api_paste_config": VENV / "etc" / "neutron" / "api-paste.ini",
            "core_plugin": "ml2",
            "service_plugins": "",
            "auth_strategy": "keystone",
            "notify_nova_on_port_status_changes": False,
            "notify_nova_on_port_data_changes": False,
            "dhcp_agent_notification": False,
        },
        "database": common.database(spec, "neutron"),
        "oslo_concurrency": common.lock_path(spec),
        "ml2": {
            "type_drivers": "local,flat",
            "tenant_network_types": "local",
            "mechanism_drivers": "lab_bind",
            "extension_drivers": "port_security",
        },
        "ml2_type_flat": {"flat_networks": "*"},
        "keystone_authtoken": common.keystone_authtoken(spec),
    }
