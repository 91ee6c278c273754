# SPDX-License-Identifier: Apache-2.0
"""Glance's configuration."""

from lab.cloud.config import common
from lab.cloud.config.ini import Sections
from lab.cloud.spec import Spec
from lab.core.layout import VENV


def glance_conf(spec: Spec) -> Sections:
    """Return glance-api.conf."""
    images = spec.layout.prefix / "images"
    return {
        "DEFAULT": {
            **common.logging(),
            "enabled_backends": "fs:file",
            "enabled_import_methods": "[]",
            "worker_self_reference_url": spec.address("glance"),
        },
        "database": common.database(spec, "glance"),
        "paste_deploy": {
            "flavor": "keystone",
            "config_file": VENV / "etc" / "glance" / "glance-api-paste.ini",
        },
        "glance_store": {"default_backend": "fs"},
        "fs": {"filesystem_store_datadir": images / "store"},
        "os_glance_staging_store": {"filesystem_store_datadir": images / "staging"},
        "os_glance_tasks_store": {"filesystem_store_datadir": images / "tasks"},
        "oslo_concurrency": common.lock_path(spec),
        "keystone_authtoken": common.keystone_authtoken(spec),
    }
