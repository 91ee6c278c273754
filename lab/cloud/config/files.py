# SPDX-License-Identifier: Apache-2.0
"""Write the control plane's configuration files."""

import shutil

from lab.cloud.config import colo, glance, keystone, mariadb, neutron, nova, placement, rabbitmq, uwsgi
from lab.cloud.config.ini import render
from lab.cloud.spec import Spec
from lab.core.layout import VENV, write_private

#: service -> (WSGI application, worker processes, threads)
APIS: dict[str, tuple[str, int, int]] = {
    "keystone": ("keystone.wsgi.api:application", 1, 4),
    "placement": ("placement.wsgi.api:application", 1, 4),
    "glance": ("glance.wsgi.api:application", 1, 4),
    "neutron": ("neutron.wsgi.api:application", 1, 4),
    # Two workers, so that state in the memory of one process is noticed.
    "nova-api": ("nova.wsgi.osapi_compute:application", 2, 6),
}


def write_all(spec: Spec) -> None:
    """Write all files of the control plane below ``etc``, readable by the owner only."""
    etc = spec.layout.etc
    ini = {
        "keystone/keystone.conf": keystone.keystone_conf(spec),
        "placement/placement.conf": placement.placement_conf(spec),
        "glance/glance-api.conf": glance.glance_conf(spec),
        "neutron/neutron.conf": neutron.neutron_conf(spec),
        "nova/nova.conf": nova.control_conf(spec),
        "nova-colo/nova-colo.conf": colo.engine_conf(spec),
        "mariadb/mariadb.cnf": mariadb.server_conf(spec),
        "mariadb/client.cnf": mariadb.client_conf(spec),
    }
    colo.write_keys(spec)
    for service, (module, processes, threads) in APIS.items():
        options = uwsgi.uwsgi_ini(spec, service, module, processes, threads)
        ini[f"uwsgi/{service}.ini"] = uwsgi.with_connection_close(options)
    texts = {name: render(sections) for name, sections in ini.items()}
    texts |= neutron.plugin_files(spec)
    texts["mariadb/init.sql"] = mariadb.init_sql(spec)
    texts |= rabbitmq.files(spec, spec.listens("rabbitmq"))
    for name, text in texts.items():
        write_private(etc / name, text)
    shutil.copyfile(VENV / "etc" / "nova" / "api-paste.ini", etc / "nova" / "api-paste.ini")
    for folder in ("locks", "neutron", "nova", "images/store", "images/staging", "images/tasks", "rabbitmq"):
        (spec.layout.prefix / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
