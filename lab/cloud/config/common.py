# SPDX-License-Identifier: Apache-2.0
"""Sections that several services have in common."""

from lab.cloud.spec import Spec


def logging() -> dict[str, object]:
    """Return the options that log to stderr, which is the service's log file."""
    return {
        "use_stderr": True,
        "logging_default_format_string": "%(asctime)s %(levelname)s %(name)s %(message)s",
    }


def keystone_authtoken(spec: Spec) -> dict[str, object]:
    """Return the options for the validation of tokens."""
    return {
        **spec.service_auth(),
        "www_authenticate_uri": spec.auth_url,
        "service_token_roles_required": True,
        "service_token_roles": "service",
        "memcached_servers": "",
    }


def database(spec: Spec, name: str) -> dict[str, object]:
    """Return the options of an oslo.db section."""
    return {"connection": spec.database_url(name), "max_pool_size": 10, "max_overflow": 20}


def lock_path(spec: Spec) -> dict[str, object]:
    """Return the options of [oslo_concurrency]."""
    return {"lock_path": spec.layout.prefix / "locks"}
