# SPDX-License-Identifier: Apache-2.0
"""Merge and delete old rows of the database."""

import datetime
import time

from oslo_utils import timeutils

from nova_colo.db import events, history, operations, secondaries
from nova_colo.engine.context import Context

#: Age in seconds at which fine checkpoint buckets are merged; longer than agents keep theirs.
FINE_FOR = 7200
DAY = 86400


class Housekeeping:
    """Deletes history older than the retention options of [engine]."""

    def __init__(self, context: Context):
        self._context = context

    def purge(self) -> None:
        """Merge and delete once."""
        options, now = self._context.conf.engine, int(time.time())
        with self._context.database.writer() as session:
            history.purge(session, now - options.checkpoint_retention * DAY)
        with self._context.database.writer() as session:
            history.merge(session, (now - FINE_FOR) // history.COARSE * history.COARSE)
        for purge, retention in (
            (operations.purge, options.event_retention),
            (events.purge, options.event_retention),
            (secondaries.purge, options.usage_retention),
        ):
            has_more = True
            while has_more:
                with self._context.database.writer() as session:
                    has_more = purge(session, _ago(retention))


def _ago(days: int) -> datetime.datetime:
    return timeutils.utcnow() - datetime.timedelta(days=days)
