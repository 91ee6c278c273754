# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ's configuration: one address, its own epmd on loopback, a generated user instead of guest."""

import base64
import hashlib
import json

from lab.cloud.spec import Spec
from lab.core.addresses import LOOPBACK


def rabbitmq_conf(spec: Spec, address: str = LOOPBACK) -> str:
    """Return rabbitmq.conf for a broker that listens on one address."""
    lines = [
        f"listeners.tcp.1 = {address}:{spec.port('rabbitmq')}",
        "log.console = true",
        "log.console.level = warning",
        "log.console.use_colors = off",
        "log.file = false",
        f"load_definitions = {spec.layout.etc / 'rabbitmq' / 'definitions.json'}",
        # By default RabbitMQ blocks publishers when the disk is nearly full.
        "disk_free_limit.absolute = 50MB",
    ]
    return "\n".join(lines) + "\n"


def definitions(spec: Spec) -> str:
    """Return the definitions that the broker imports at each start: our user, and no guest."""
    password = spec.passwords["broker"]
    # The format of rabbit_password_hashing_sha256: base64(salt + sha256(salt + password)), with a salt of 4
    # bytes. The salt is derived from the password, so that the file is the same at each start.
    salt = hashlib.sha256(b"salt" + password.encode()).digest()[:4]
    hashed = base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
    document = {
        "users": [
            {
                "name": "lab",
                "password_hash": hashed,
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": ["administrator"],
            }
        ],
        "vhosts": [{"name": "/"}],
        "permissions": [{"user": "lab", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}],
    }
    return json.dumps(document, indent=2) + "\n"


def files(spec: Spec, address: str = LOOPBACK) -> dict[str, str]:
    """Return the files of a broker that listens on one address, by their names below ``etc``."""
    return {
        "rabbitmq/rabbitmq.conf": rabbitmq_conf(spec, address),
        "rabbitmq/definitions.json": definitions(spec),
        "rabbitmq/enabled_plugins": "[].\n",
    }


def environment(spec: Spec, address: str = LOOPBACK) -> dict[str, str]:
    """Return the environment of a broker that listens on one address."""
    folder = spec.layout.prefix / "rabbitmq"
    return {
        "HOME": str(folder),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "ERL_EPMD_PORT": str(spec.port("epmd")),
        "RABBITMQ_NODENAME": "lab@localhost",
        "RABBITMQ_NODE_PORT": str(spec.port("rabbitmq")),
        "RABBITMQ_NODE_IP_ADDRESS": address,
        "RABBITMQ_DIST_PORT": str(spec.port("rabbitmq-distribution")),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(spec.layout.logs),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(spec.layout.etc / "rabbitmq" / "enabled_plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_CONFIG_FILE": str(spec.layout.etc / "rabbitmq" / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
            "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none"
        ),
        # The start script then execs the broker, which ends on SIGTERM, instead of running rabbitmqctl.
        "RUNNING_UNDER_SYSTEMD": "true",
    }
