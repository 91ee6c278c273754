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
        # Cheap hashes suffice for long random passwords.
        "identity": {"password_hash_rounds": 4},
        # Keystone has one process, so a cache in memory suffices. Without it, it uses the most CPU of all.
        "cache": {"enabled": True, "backend": "dogpile.cache.memory"},
    }
