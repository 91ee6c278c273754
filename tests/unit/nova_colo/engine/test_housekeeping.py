# SPDX-License-Identifier: Apache-2.0
"""Whatever is older than its retention is deleted, however much it is."""

import datetime
import types

import sqlalchemy as sa
from oslo_utils import timeutils

from nova_colo.db import events, migration, purge
from nova_colo.db.models import Event
from nova_colo.engine.housekeeping import Housekeeping
from nova_colo.pair import reasons
from tests.fixtures.made_database import conf_at, database_at

SERVER = "1f0f0c3e-0000-4000-8000-000000000001"


def test_all_old_events_are_deleted_and_no_other(tmp_path, monkeypatch):
    connection = f"sqlite:///{tmp_path}/ft.db"
    migration.sync(connection)
    database = database_at(connection)
    monkeypatch.setattr(purge, "BATCH", 10)
    with database.writer() as session:
        for _ in range(35):
            events.add(session, SERVER, "failover", reasons.WAITING())
        old = timeutils.utcnow() - datetime.timedelta(days=91)
        session.flush()
        session.execute(sa.update(Event).where(Event.id <= 30).values(at=old))
    Housekeeping(types.SimpleNamespace(database=database, conf=conf_at(connection))).purge()
    with database.reader() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Event)) == 5
