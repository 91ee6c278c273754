# SPDX-License-Identifier: Apache-2.0
"""Sessions of the FT database."""

import contextlib
from collections.abc import Iterator
from urllib import parse

import sqlalchemy as sa
from oslo_config import cfg
from oslo_db import api
from oslo_db.sqlalchemy import enginefacade
from sqlalchemy import orm

_OPTIONS = (
    "connection",
    "connection_debug",
    "connection_trace",
    "connection_recycle_time",
    "max_pool_size",
    "max_retries",
    "retry_interval",
    "max_overflow",
    "pool_timeout",
    "mysql_sql_mode",
    "mysql_wsrep_sync_wait",
    "sqlite_synchronous",
)
#: Seconds after which a database server that does not answer counts as lost, unless the configuration says
#: otherwise. PyMySQL waits until TCP gives up: a quarter of an hour after the server has lost its power.
_TIMEOUTS = {"connect_timeout": 5, "read_timeout": 10, "write_timeout": 10}

#: Retry a transaction that the database rolled back after a deadlock, up to ten times.
retry_on_deadlock = api.wrap_db_retry(
    max_retries=10, retry_interval=0.05, max_retry_interval=2, retry_on_deadlock=True
)

#: Also retry after a lost connection, for idempotent functions only: the transaction may have been committed.
retry_on_loss = api.wrap_db_retry(
    max_retries=10,
    retry_interval=0.05,
    max_retry_interval=2,
    retry_on_deadlock=True,
    retry_on_disconnect=True,
)


def _parameters(options: cfg.ConfigOpts.GroupAttr) -> str:
    """Return the parameters of the connection, as a query string."""
    given = options.connection_parameters
    if not options.connection or (url := sa.make_url(options.connection)).get_driver_name() != "pymysql":
        return given
    known = {*url.query, *parse.parse_qs(given)}
    missing = {name: seconds for name, seconds in _TIMEOUTS.items() if name not in known}
    return "&".join(filter(None, (given, parse.urlencode(missing))))


@enginefacade.transaction_context_provider
class _Context:
    """The holder of enginefacade's state; one per transaction."""


class Database:
    """The FT database that conf's [database] connection names."""

    def __init__(self, conf: cfg.ConfigOpts):
        self._facade = enginefacade.transaction_context()
        options = {name: conf.database[name] for name in _OPTIONS}
        self._facade.configure(sqlite_fk=True, connection_parameters=_parameters(conf.database), **options)

    @contextlib.contextmanager
    def reader(self) -> Iterator[orm.Session]:
        """Enter a read-only transaction."""
        with self._facade.reader.using(_Context()) as session:
            yield session

    @contextlib.contextmanager
    def writer(self) -> Iterator[orm.Session]:
        """Enter a transaction that commits at the end and rolls back on an exception."""
        with self._facade.writer.using(_Context()) as session:
            yield session
