# SPDX-License-Identifier: Apache-2.0
"""MariaDB's configuration: a private data folder, no network, a password for every user."""

from lab.cloud.config.ini import Sections
from lab.cloud.spec import Spec
from lab.core.state import DATABASES


def server_conf(spec: Spec) -> Sections:
    """Return the option file of mariadbd."""
    folder = spec.layout.prefix / "mariadb"
    return {
        "mariadbd": {
            "user": "root",
            "datadir": folder / "data",
            "socket": spec.layout.database_socket,
            "pid-file": folder / "pid",
            "init-file": spec.layout.etc / "mariadb" / "init.sql",
            "skip-networking": "1",
            "skip-log-bin": "1",
            "skip-name-resolve": "1",
            "character-set-server": "utf8mb3",
            "innodb-flush-log-at-trx-commit": 0,
            "innodb-print-all-deadlocks": 1,
            "innodb-buffer-pool-size": "128M",
            "max-connections": 500,
        }
    }


def client_conf(spec: Spec) -> Sections:
    """Return the option file of clients that connect as the administrator."""
    return {
        "client": {
            "user": "root",
            "password": spec.passwords["database:root"],
            "socket": spec.layout.database_socket,
        }
    }


def init_sql(spec: Spec) -> str:
    """Return the SQL that mariadbd runs at each start before it accepts connections: users and databases."""
    lines = [f"ALTER USER root@localhost IDENTIFIED BY '{spec.passwords['database:root']}';"]
    for user in sorted(set(DATABASES.values())):
        password = spec.passwords[f"database:{user}"]
        lines.append(f"CREATE USER IF NOT EXISTS {user}@localhost;")
        lines.append(f"ALTER USER {user}@localhost IDENTIFIED BY '{password}';")
    for database, user in DATABASES.items():
        lines.append(f"CREATE DATABASE IF NOT EXISTS {database} CHARACTER SET utf8mb3;")
        lines.append(f"GRANT ALL ON {database}.* TO {user}@localhost;")
    return "\n".join(lines) + "\n"
