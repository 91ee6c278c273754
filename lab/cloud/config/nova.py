# SPDX-License-Identifier: Apache-2.0
"""Nova's configuration: the control plane's and each compute host's."""

from pathlib import Path

from lab.cloud.config import common
from lab.cloud.config.ini import Sections
from lab.cloud.spec import Spec

STOCK_DRIVER = "fake.FakeDriverWithoutFakeNodes"
#: Nova's own default.
STOCK_FILTERS = (
    "ComputeFilter",
    "ComputeCapabilitiesFilter",
    "ImagePropertiesFilter",
    "ServerGroupAntiAffinityFilter",
    "ServerGroupAffinityFilter",
)
PAIR_FILTER = "nova_colo.scheduler.pair_filter.ColoPairFilter"


def control_conf(spec: Spec) -> Sections:
    """Return the nova.conf of nova-api, nova-conductor and nova-scheduler."""
    auth = spec.service_auth()
    return {
        "DEFAULT": {
            **_defaults(spec, "control", spec.layout.prefix / "nova"),
            "rpc_workers": 1,
            # a resize to another host copies disks by ssh, which the lab's hosts do not have
            "allow_resize_to_same_host": spec.is_real,
        },
        "wsgi": {"api_paste_config": spec.layout.etc / "nova" / "api-paste.ini"},
        "database": common.database(spec, "nova"),
        "api_database": common.database(spec, "nova_api"),
        "api": {"auth_strategy": "keystone"},
        "quota": {"instances": -1, "cores": -1, "ram": -1},
        "conductor": {"workers": 1},
        # A periodic task maps new hosts, instead of nova-manage discover_hosts.
        "scheduler": {"workers": 1, "discover_hosts_in_cells_interval": 3},
        "filter_scheduler": {"track_instance_changes": False, **(_pair_filter() if spec.state.colo else {})},
        **_shared(spec, auth),
        "keystone_authtoken": common.keystone_authtoken(spec),
    }


def _pair_filter() -> dict[str, object]:
    return {
        "available_filters": ["nova.scheduler.filters.all_filters", PAIR_FILTER],
        "enabled_filters": ",".join([*STOCK_FILTERS, "ColoPairFilter"]),
    }


def compute_conf(spec: Spec, host: str, driver: str, driver_sections: Sections) -> Sections:
    """Return the nova.conf of the nova-compute on ``host``, without a database, as Nova requires.

    :param driver: the value of compute_driver
    :param driver_sections: additional sections of the driver
    """
    return {
        "DEFAULT": {
            **_defaults(spec, host, spec.layout.host(host) / "nova"),
            "compute_driver": driver,
            "resume_guests_state_on_host_boot": True,
            # No agent reports that a port is plugged.
            "vif_plugging_timeout": 0,
            "vif_plugging_is_fatal": False,
        },
        **_shared(spec, spec.service_auth()),
        **driver_sections,
    }


def _defaults(spec: Spec, host: str, state_path: Path) -> dict[str, object]:
    return {
        **common.logging(),
        "host": host,
        "my_ip": "127.0.0.1",
        "state_path": state_path,
        "transport_url": spec.transport_url(),
        "report_interval": 3 if spec.state.short_intervals else 5,
        "service_down_time": 40,
        # By default a shutdown takes more than 80 seconds.
        "graceful_shutdown_timeout": 4,
        "manager_shutdown_timeout": 2,
    }


def _shared(spec: Spec, auth: dict[str, str]) -> Sections:
    return {
        "service_user": {"send_service_user_token": True, **auth},
        "placement": auth,
        "glance": auth,
        "neutron": auth,
        "keystone": auth,
        "cinder": auth,
        "vnc": {"enabled": False},
        "oslo_concurrency": common.lock_path(spec),
        "workarounds": {"skip_hypervisor_version_check_on_lm": True},
    }
