# SPDX-License-Identifier: Apache-2.0
"""alembic's environment: one engine, the models' metadata."""

import sqlalchemy as sa
from alembic import context

from nova_colo.db import models

engine = sa.create_engine(context.config.attributes["url"], poolclass=sa.pool.NullPool)
with engine.connect() as connection:
    # SQLite cannot alter tables: alembic copies them instead
    context.configure(connection=connection, target_metadata=models.BASE.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
