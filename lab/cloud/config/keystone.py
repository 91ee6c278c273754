# SPDX-License-Identifier: Apache-2.0
"""Keystone's configuration."""

from lab.cloud.config import common
from lab.cloud.config.ini import Sections
from lab.cloud.spec import Spec


def keystone_conf(spec: Spec) -> Sections:
    """Return keystone.conf."""
    keys = spec.layout.prefix / "keystone"
    return {
        "DEFAULT": common.logging(),
        "database": common.database(spec, "keystone"),
        "token": {"provider": "fernet", "expiration": 86400},
        "fernet_tokens": {"key_repository": keys / "fernet"},
        "credential": {"key_repository": keys / "credential"},
        # Cheap hashes: the passwords are as long as random numbers, and this is a lab.
        "identity": {"password_hash_rounds": 4},
        # Keystone is one process here, so its memory is cache enough; without, it is the busiest of all services.
        "cache": {"enabled": True, "backend": "dogpile.cache.memory"},
    }
