# SPDX-License-Identifier: Apache-2.0
"""Placement's configuration."""

from lab.cloud.config import common
from lab.cloud.config.ini import Sections
from lab.cloud.spec import Spec


def placement_conf(spec: Spec) -> Sections:
    """Return placement.conf."""
    return {
        "DEFAULT": common.logging(),
        "placement_database": common.database(spec, "placement"),
        "api": {"auth_strategy": "keystone"},
        "keystone_authtoken": common.keystone_authtoken(spec),
    }
