# SPDX-License-Identifier: Apache-2.0
"""Seed a new cloud. Every object is looked up first, and created only if it is missing."""

import openstack
from openstack.connection import Connection

from lab.cloud.spec import REGION, Spec
from lab.core.state import USERS


def connect(spec: Spec, user: str = "admin", project: str | None = None) -> Connection:
    """Return a connection of a cloud user, independent of clouds.yaml and OS_* variables of the caller."""
    return openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        region_name=REGION,
        identity_api_version="3",
        # The catalog may have an earlier port, which another lab may use now.
        identity_endpoint_override=spec.auth_url,
        auth={
            "auth_url": spec.auth_url,
            "username": user,
            "password": spec.passwords[user],
            "project_name": project or USERS[user],
            "user_domain_id": "default",
            "project_domain_id": "default",
        },
    )
