# SPDX-License-Identifier: Apache-2.0
"""FT databases for tests."""

from typing import Any

from alembic import autogenerate
from alembic.runtime import migration
from oslo_config import cfg

from nova_colo import conf as colo_conf
from nova_colo.db import Database
from nova_colo.db.models import BASE


def database_at(connection: str, **options: Any) -> Database:
    """Return the FT database at an SQLAlchemy URL, with more options of [database]."""
    conf = colo_conf.load([], [], conf=cfg.ConfigOpts())
    for name, value in {"connection": connection, **options}.items():
        conf.set_override(name, value, group="database")
    return Database(conf)


def differences_from_models(database: Database) -> list[Any]:
    """Return in what the schema of a database is not what the models say."""
    with database.reader() as session:
        context = migration.MigrationContext.configure(session.connection())
        return autogenerate.compare_metadata(context, BASE.metadata)
