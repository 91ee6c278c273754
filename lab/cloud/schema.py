# SPDX-License-Identifier: Apache-2.0
"""Create the databases' tables once. A database without a stamp is incomplete, and is created again."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pymysql

from lab.cloud.services import program
from lab.cloud.spec import REGION, Spec
from lab.core.layout import CACHE, REPO, VENV, add_to_cache
from lab.core.process import Supervisor
from lab.core.state import DATABASES


class Schemas:
    """The tables of all services of one lab."""

    def __init__(self, spec: Spec, supervisor: Supervisor) -> None:
        self._spec = spec
        self._supervisor = supervisor

    def keystone(self) -> None:
        """Create Keystone's tables, its keys, and the cloud's administrator."""
        config = self._config("keystone/keystone.conf")
        keys = self._spec.layout.prefix / "keystone"
        keys.mkdir(mode=0o700, exist_ok=True)
        owner = ("--keystone-user", "root", "--keystone-group", "root")
        if self._begin("keystone"):
            self._fill(("keystone",), "keystone-manage", "keystone.cmd.manage:main", config, [("db_sync",)])
            environment = {
                "OS_BOOTSTRAP_PASSWORD": self._spec.passwords["admin"],
                "OS_BOOTSTRAP_REGION_ID": REGION,
                "OS_BOOTSTRAP_ADMIN_URL": self._spec.auth_url,
                "OS_BOOTSTRAP_INTERNAL_URL": self._spec.auth_url,
                "OS_BOOTSTRAP_PUBLIC_URL": self._spec.auth_url,
            }
            commands = [("fernet_setup", *owner), ("credential_setup", *owner), ("bootstrap",)]
            self._run("keystone-manage", "keystone.cmd.manage:main", config, commands, environment)
            self._finish("keystone")

    def placement(self) -> None:
        """Create Placement's tables."""
        if self._begin("placement"):
            config = self._config("placement/placement.conf")
            self._fill(
                ("placement",), "placement-manage", "placement.cmd.manage:main", config, [("db", "sync")]
            )
            self._finish("placement")

    def glance(self) -> None:
        """Create Glance's tables, and load the metadata definitions that Horizon's flavor pages require."""
        if self._begin("glance"):
            config = self._config("glance/glance-api.conf")
            commands = [("db_sync",), ("db_load_metadefs", str(VENV / "etc" / "glance" / "metadefs"))]
            self._fill(("glance",), "glance-manage", "glance.cmd.manage:main", config, commands)
            self._finish("glance")

    def neutron(self) -> None:
        """Create Neutron's tables."""
        if self._begin("neutron"):
            config = self._config("neutron/neutron.conf")
            self._fill(
                ("neutron",),
                "neutron-db-manage",
                "neutron.db.migration.cli:main",
                config,
                [("upgrade", "heads")],
            )
            self._finish("neutron")

    def nova(self) -> None:
        """Create Nova's tables and its cells.

        The cells are mapped by templates that Nova fills in from nova.conf, so that neither the command nor
        the table has a password.
        """
        databases = ("nova_api", "nova_cell0", "nova")
        if self._begin(*databases):
            config = self._config("nova/nova.conf")
            database = "{scheme}://{username}:{password}@{hostname}/%s?{query}"
            broker = "{scheme}://{username}:{password}@{hostname}:{port}/"
            cell = ("--name", "cell1", "--database_connection", database % "nova", "--transport-url", broker)
            commands = [
                ("api_db", "sync"),
                ("cell_v2", "map_cell0", "--database_connection", database % "nova_cell0"),
                ("db", "sync"),
                ("cell_v2", "create_cell", *cell),
            ]
            self._fill(databases, "nova-manage", "nova.cmd.manage:main", config, commands)
            self._finish(*databases)

    def colo(self) -> None:
        """Create fault tolerance's tables. Its migrations are under development, so they run each time."""
        self._begin("nova_colo")
        config = self._config("nova-colo/nova-colo.conf")
        self._run("nova-colo-manage", "nova_colo.cmd.manage:main", config, [("db", "sync")])
        self._finish("nova_colo")

    def _config(self, name: str) -> tuple[str, str]:
        return ("--config-file", str(self._spec.layout.etc / name))

    def _stamp(self, database: str) -> Path:
        return self._spec.layout.done / f"schema-{database}"

    def _begin(self, *databases: str) -> bool:
        """Return whether the databases must be filled, and empty them if an earlier attempt was interrupted.

        MariaDB cannot roll back a migration, so an incomplete one starts again with an empty database.
        """
        if all(self._stamp(database).exists() for database in databases):
            return False
        with connect_as_root(self._spec) as connection, connection.cursor() as cursor:
            for database in databases:
                cursor.execute(f"DROP DATABASE IF EXISTS {database}")
                cursor.execute(f"CREATE DATABASE {database} CHARACTER SET utf8mb3")
        return True

    def _finish(self, *databases: str) -> None:
        for database in databases:
            self._stamp(database).touch()

    def _fill(
        self,
        databases: Sequence[str],
        name: str,
        entry_point: str,
        config: tuple[str, str],
        commands: Sequence[tuple[str, ...]],
    ) -> None:
        """Fill databases from the cache, else by commands, whose result is then the same in all labs."""
        inputs = (REPO / "constraints.txt").read_bytes() + Path(__file__).read_bytes()
        cached = CACHE / f"schema-{hashlib.sha256(inputs).hexdigest()[:12]}-{databases[0]}"
        options = f"--defaults-extra-file={self._spec.layout.etc / 'mariadb' / 'client.cnf'}"
        if cached.exists():
            for database in databases:
                self._supervisor.run(
                    f"setup-{name}", ("mariadb", options, database, "-e", f"source {cached / database}.sql")
                )
            return
        self._run(name, entry_point, config, commands)
        with tempfile.TemporaryDirectory() as folder:
            for database in databases:
                dump = ("mariadb-dump", options, f"--result-file={folder}/{database}.sql", database)
                self._supervisor.run(f"setup-{name}", dump)
            add_to_cache(Path(folder), cached)

    def _run(
        self,
        name: str,
        entry_point: str,
        config: tuple[str, str],
        commands: Sequence[tuple[str, ...]],
        environment: dict[str, str] | None = None,
    ) -> None:
        """Run management commands of one program; see lab/core/forked.py."""
        words = [json.dumps([*config, *command]) for command in commands]
        argv = (program("python"), "-m", "lab.core.forked", entry_point, name, *words)
        self._supervisor.run(f"setup-{name}", argv, {"PYTHONPATH": str(REPO), **(environment or {})})


def connect_as_root(spec: Spec) -> "pymysql.Connection[pymysql.cursors.Cursor]":
    """Return a connection to MariaDB as its administrator.

    :raises pymysql.Error: it does not answer
    """
    return pymysql.connect(
        unix_socket=str(spec.layout.database_socket), user="root", password=spec.passwords["database:root"]
    )


def install_data_folder(spec: Spec, supervisor: Supervisor) -> None:
    """Create MariaDB's data folder atomically."""
    folder = spec.layout.prefix / "mariadb"
    folder.mkdir(mode=0o700, exist_ok=True)
    if (folder / "data").exists():
        return
    for stamp in map(spec.layout.done.joinpath, (f"schema-{database}" for database in DATABASES)):
        stamp.unlink(missing_ok=True)
    new = folder / "data.new"
    shutil.rmtree(new, ignore_errors=True)
    supervisor.run(
        "setup-mariadb",
        (
            "/usr/bin/mariadb-install-db",
            "--no-defaults",
            "--user=root",
            f"--datadir={new}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ),
    )
    new.rename(folder / "data")
