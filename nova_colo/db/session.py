# SPDX-License-Identifier: Apache-2.0
"""Sessions of the FT database."""

import contextlib
from collections.abc import Iterator

from oslo_config import cfg
from oslo_db import api
from oslo_db.sqlalchemy import enginefacade
from sqlalchemy import orm

_OPTIONS = (
    "connection",
    "connection_recycle_time",
    "max_pool_size",
    "max_retries",
    "retry_interval",
    "max_overflow",
    "pool_timeout",
    "mysql_sql_mode",
    "mysql_wsrep_sync_wait",
)

#: Does again, up to ten times, what the database has undone because of a deadlock. For functions that may be repeated.
retry_on_deadlock = api.wrap_db_retry(
    max_retries=10, retry_interval=0.05, max_retry_interval=2, retry_on_deadlock=True
)

#: The same for a lost connection, which leaves open whether the transaction was committed. For what bears being done twice.
retry_on_loss = api.wrap_db_retry(
    max_retries=10,
    retry_interval=0.05,
    max_retry_interval=2,
    retry_on_deadlock=True,
    retry_on_disconnect=True,
)


@enginefacade.transaction_context_provider
class _Context:
    """What enginefacade hangs its state on; one per transaction."""


class Database:
    """The FT database that conf's [database] connection names."""

    def __init__(self, conf: cfg.ConfigOpts):
        self._facade = enginefacade.transaction_context()
        self._facade.configure(sqlite_fk=True, **{name: conf.database[name] for name in _OPTIONS})

    @contextlib.contextmanager
    def reader(self) -> Iterator[orm.Session]:
        """Enter a transaction that only reads."""
        with self._facade.reader.using(_Context()) as session:
            yield session

    @contextlib.contextmanager
    def writer(self) -> Iterator[orm.Session]:
        """Enter a transaction that writes; it commits at the end and rolls back on an exception."""
        with self._facade.writer.using(_Context()) as session:
            yield session
