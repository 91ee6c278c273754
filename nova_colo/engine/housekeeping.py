# SPDX-License-Identifier: Apache-2.0
"""Merges and deletes what is old in the database."""

import datetime
import time

from oslo_utils import timeutils

from nova_colo.db import events, history, operations, secondaries
from nova_colo.engine.context import Services

#: Checkpoint buckets stay fine for so long, in seconds: longer than agents keep them.
FINE_FOR = 7200
DAY = 86400


class Housekeeping:
    """Keeps the history as long as the options of [engine] say."""

    def __init__(self, services: Services):
        self._services = services

    def tidy(self) -> None:
        """Do it once."""
        options, now = self._services.conf.engine, int(time.time())
        with self._services.database.writer() as session:
            history.purge(session, now - options.checkpoint_retention * DAY)
        with self._services.database.writer() as session:
            history.merge(session, (now - FINE_FOR) // history.COARSE * history.COARSE)
        with self._services.database.writer() as session:
            operations.purge(session, _ago(options.event_retention))
            events.purge(session, _ago(options.event_retention))
        with self._services.database.writer() as session:
            secondaries.purge(session, _ago(options.usage_retention))


def _ago(days: int) -> datetime.datetime:
    return timeutils.utcnow() - datetime.timedelta(days=days)
