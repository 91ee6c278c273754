# SPDX-License-Identifier: Apache-2.0
"""Schema migrations, by alembic."""

import pathlib

import sqlalchemy as sa
from alembic import command, config

#: Collations of MySQL and MariaDB begin with the name of their character set.
UTF8 = "utf8"


class CharsetError(Exception):
    """A database or table has a character set that cannot store each name."""


def _config(connection: str) -> config.Config:
    alembic = config.Config()
    alembic.set_main_option("script_location", str(pathlib.Path(__file__).parent / "migrations"))
    # not an option of the configuration: configparser fails on a percent sign in a password
    alembic.attributes["url"] = connection
    return alembic


def sync(connection: str, revision: str = "head") -> None:
    """Upgrade the schema of a database to a revision. No effect when it has that revision already.

    :param connection: SQLAlchemy URL
    :raises CharsetError: before anything is changed
    """
    _check_charset(connection)
    command.upgrade(_config(connection), revision)


def _check_charset(connection: str) -> None:
    engine = sa.create_engine(connection)
    if engine.dialect.name != "mysql":
        return
    with engine.connect() as database:
        name, collation = database.execute(sa.text("SELECT DATABASE(), @@collation_database")).one()
        tables = database.execute(
            sa.text(
                "SELECT table_name, table_collation FROM information_schema.tables "
                "WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY table_name"
            )
        ).all()
    engine.dispose()
    if not collation.startswith(UTF8):
        raise CharsetError(
            f"Database {name} has the collation {collation}, in which some names cannot be stored. "
            f"Change it: ALTER DATABASE {name} CHARACTER SET utf8mb4"
        )
    for table, collation in tables:
        if not collation.startswith(UTF8):
            raise CharsetError(
                f"Table {table} has the collation {collation}, in which some names cannot be stored. "
                f"Change it: ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4"
            )
