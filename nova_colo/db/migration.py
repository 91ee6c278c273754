# SPDX-License-Identifier: Apache-2.0
"""Schema migrations, by alembic."""

import pathlib

from alembic import command, config


def _config(connection: str) -> config.Config:
    alembic = config.Config()
    alembic.set_main_option("script_location", str(pathlib.Path(__file__).parent / "migrations"))
    # not an option of the configuration: configparser fails on a percent sign in a password
    alembic.attributes["url"] = connection
    return alembic


def sync(connection: str, revision: str = "head") -> None:
    """Upgrade the schema of a database to a revision. No effect when it has that revision already.

    :param connection: SQLAlchemy URL
    """
    command.upgrade(_config(connection), revision)
