# SPDX-License-Identifier: Apache-2.0
"""Options of the engine's clients of other services: keystoneauth1's own, one group per service."""

from keystoneauth1 import loading
from oslo_config import cfg

GROUPS = {"nova": "compute", "placement": "placement", "neutron": "network"}


def register(conf: cfg.ConfigOpts) -> None:
    """Register authentication, session and adapter options of all services on conf."""
    for group, service_type in GROUPS.items():
        loading.register_auth_conf_options(conf, group)
        loading.register_session_conf_options(conf, group)
        loading.register_adapter_conf_options(conf, group)
        # without a timeout, a service that hangs would block the workflow forever
        conf.set_default("timeout", 30, group=group)
        # a service may be restarting
        conf.set_default("connect_retries", 2, group=group)
        conf.set_default("service_type", service_type, group=group)
        conf.set_default("valid_interfaces", ["internal", "public"], group=group)


def list_opts() -> list:
    """Return the options for oslo-config-generator."""
    common = (
        loading.get_auth_common_conf_options()
        + loading.get_auth_plugin_conf_options("password")
        + loading.get_session_conf_options()
        + loading.get_adapter_conf_options()
    )
    return [(group, common) for group in GROUPS]
