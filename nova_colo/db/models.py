# SPDX-License-Identifier: Apache-2.0
"""Tables of the FT database. Times are UTC without a zone."""

import datetime
from typing import Any

import sqlalchemy as sa
from oslo_db.sqlalchemy import models
from oslo_utils import timeutils
from sqlalchemy import orm
from sqlalchemy.dialects import mysql

from nova_colo.pair.reasons import Reason, read, read_all


class ReasonType(sa.types.TypeDecorator):
    """A column type: a reason or NULL, as JSON."""

    impl = sa.JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Reason | None, dialect: Any) -> Any:
        """Return what is stored."""
        return value.data() if value is not None else None

    def process_result_value(self, value: Any, dialect: Any) -> Reason | None:
        """Return the reason, or None."""
        return read(value)


class ReasonListType(sa.types.TypeDecorator):
    """A column type: a list of reasons as JSON."""

    impl = sa.JSON
    cache_ok = True

    def process_bind_param(self, value: list[Reason] | None, dialect: Any) -> Any:
        """Return what is stored."""
        return [reason.data() for reason in value or ()]

    def process_result_value(self, value: Any, dialect: Any) -> list[Reason]:
        """Return the reasons."""
        return read_all(value)


DateTime = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
BASE: Any = orm.declarative_base(cls=models.ModelBase)


class Pair(BASE):
    """An FT server: its pair, and the last metrics from its agents.

    ``wanted``: the users' request. ``reserved_host``: the host with capacity reserved for a secondary that
    does not run (yet). ``return_to``: the host to which a test failover returns. ``first_error``: the first
    of the errors in a row that keep it from being protected.
    """

    __tablename__ = "pairs"
    __table_args__ = (sa.Index("pairs_project_id_idx", "project_id"),)

    server_id: orm.Mapped[str] = orm.mapped_column(sa.String(36), primary_key=True)
    secondary_id: orm.Mapped[str] = orm.mapped_column("twin_id", sa.String(36), nullable=False, unique=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(255), nullable=False)
    project_id: orm.Mapped[str] = orm.mapped_column(sa.String(255), nullable=False)
    user_id: orm.Mapped[str] = orm.mapped_column(sa.String(255), nullable=False)
    flavor: orm.Mapped[str] = orm.mapped_column(sa.String(255), nullable=False)
    vcpus: orm.Mapped[int] = orm.mapped_column(sa.Integer, nullable=False)
    memory_mb: orm.Mapped[int] = orm.mapped_column(sa.Integer, nullable=False)
    disk_gb: orm.Mapped[int] = orm.mapped_column(sa.Integer, nullable=False)
    server_status: orm.Mapped[str] = orm.mapped_column(sa.String(36), nullable=False)
    nova_host: orm.Mapped[str] = orm.mapped_column(sa.String(255), nullable=False)

    state: orm.Mapped[str] = orm.mapped_column(sa.String(16), nullable=False)
    state_reason: orm.Mapped[Reason | None] = orm.mapped_column(ReasonType)
    health: orm.Mapped[str] = orm.mapped_column(sa.String(16), nullable=False)
    health_reasons: orm.Mapped[list[Reason]] = orm.mapped_column(ReasonListType, nullable=False, default=list)
    mode: orm.Mapped[str] = orm.mapped_column(sa.String(16), nullable=False, default="colo")
    mode_policy: orm.Mapped[str] = orm.mapped_column(sa.String(16), nullable=False, default="colo")
    backend: orm.Mapped[str | None] = orm.mapped_column(sa.String(64))
    epoch: orm.Mapped[int] = orm.mapped_column(sa.Integer, nullable=False, default=0)
    primary_host: orm.Mapped[str] = orm.mapped_column(sa.String(255), nullable=False)
    primary_since: orm.Mapped[datetime.datetime] = orm.mapped_column(DateTime, nullable=False)
    secondary_host: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    secondary_since: orm.Mapped[datetime.datetime | None] = orm.mapped_column(DateTime)
    previous_host: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    protected_since: orm.Mapped[datetime.datetime | None] = orm.mapped_column(DateTime)
    progress: orm.Mapped[Any] = orm.mapped_column(sa.JSON, nullable=True)

    checkpoints: orm.Mapped[Any] = orm.mapped_column(sa.JSON, nullable=True)
    measured_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(DateTime)
    failovers: orm.Mapped[int] = orm.mapped_column(sa.Integer, nullable=False, default=0)
    failover_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(DateTime)
    failover_reason: orm.Mapped[Reason | None] = orm.mapped_column(ReasonType)
    failover_gap_ms: orm.Mapped[float | None] = orm.mapped_column(sa.Float)

    wanted: orm.Mapped[str] = orm.mapped_column(sa.String(16), nullable=False, default="protected")
    reserved_host: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    return_to: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    checkpoint_interval_ms: orm.Mapped[int | None] = orm.mapped_column(sa.Integer)
    auto_reprotect: orm.Mapped[bool] = orm.mapped_column(sa.Boolean, nullable=False, default=True)
    checkpoint_rate: orm.Mapped[float | None] = orm.mapped_column(sa.Float)
    pause_p99_ms: orm.Mapped[float | None] = orm.mapped_column(sa.Float)
    first_error: orm.Mapped[Reason | None] = orm.mapped_column(ReasonType)

    operation_id: orm.Mapped[str | None] = orm.mapped_column(sa.String(36))
    attempts: orm.Mapped[int] = orm.mapped_column(sa.Integer, nullable=False, default=0)
    retry_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(DateTime)
    created_at: orm.Mapped[datetime.datetime] = orm.mapped_column(
        DateTime, nullable=False, default=timeutils.utcnow
    )


class Operation(BASE):
    """A workflow that was started for a server, and its progress."""

    __tablename__ = "operations"
    __table_args__ = (
        sa.Index("operations_server_id_idx", "server_id"),
        sa.Index("operations_status_idx", "status"),
        sa.Index("operations_finished_at_idx", "finished_at"),
    )

    id: orm.Mapped[str] = orm.mapped_column(sa.String(36), primary_key=True)
    server_id: orm.Mapped[str] = orm.mapped_column(sa.String(36), nullable=False)
    kind: orm.Mapped[str] = orm.mapped_column(sa.String(32), nullable=False)
    status: orm.Mapped[str] = orm.mapped_column(sa.String(16), nullable=False)
    step: orm.Mapped[int] = orm.mapped_column(sa.Integer, nullable=False, default=0)
    params: orm.Mapped[Any] = orm.mapped_column(sa.JSON, nullable=False, default=dict)
    error: orm.Mapped[Reason | None] = orm.mapped_column(ReasonType)
    requested_by: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    request_id: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    created_at: orm.Mapped[datetime.datetime] = orm.mapped_column(
        DateTime, nullable=False, default=timeutils.utcnow
    )
    finished_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(DateTime)


class Host(BASE):
    """A compute host with an agent.

    ``fenced_at``: when the engine forced its nova-compute down; NULL once that is lifted. ``capable``:
    whether it can run replicas of pairs; if not, ``reasons`` are its unmet requirements.
    """

    __tablename__ = "hosts"

    host: orm.Mapped[str] = orm.mapped_column(sa.String(255), primary_key=True)
    backend: orm.Mapped[str | None] = orm.mapped_column(sa.String(64))
    version: orm.Mapped[str | None] = orm.mapped_column(sa.String(64))
    seen_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(DateTime)
    fenced_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(DateTime)
    capable: orm.Mapped[bool] = orm.mapped_column(sa.Boolean, nullable=False, default=True)
    reasons: orm.Mapped[list[Reason]] = orm.mapped_column(ReasonListType, nullable=True, default=list)
    versions: orm.Mapped[Any] = orm.mapped_column(sa.JSON, nullable=True, default=dict)


class Event(BASE):
    """An event of an FT server."""

    __tablename__ = "events"
    __table_args__ = (sa.Index("events_server_id_id_idx", "server_id", "id"), sa.Index("events_at_idx", "at"))

    id: orm.Mapped[int] = orm.mapped_column(
        sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True
    )
    server_id: orm.Mapped[str] = orm.mapped_column(sa.String(36), nullable=False)
    at: orm.Mapped[datetime.datetime] = orm.mapped_column(DateTime, nullable=False, default=timeutils.utcnow)
    kind: orm.Mapped[str] = orm.mapped_column(sa.String(32), nullable=False)
    level: orm.Mapped[str] = orm.mapped_column(sa.String(16), nullable=False)
    reason: orm.Mapped[Reason] = orm.mapped_column(ReasonType, nullable=False)
    request_id: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    user_id: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))


class Bucket(BASE):
    """The checkpoints of a server in an interval.

    ``start``: seconds since the epoch, a multiple of ``seconds``.
    """

    __tablename__ = "checkpoint_buckets"
    __table_args__ = (sa.Index("checkpoint_buckets_start_idx", "seconds", "start"),)

    server_id: orm.Mapped[str] = orm.mapped_column(sa.String(36), primary_key=True)
    start: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    seconds: orm.Mapped[int] = orm.mapped_column(sa.Integer, primary_key=True, autoincrement=False)
    mismatch: orm.Mapped[int] = orm.mapped_column(sa.Integer, nullable=False)
    periodic: orm.Mapped[int] = orm.mapped_column(sa.Integer, nullable=False)
    forced: orm.Mapped[int] = orm.mapped_column(sa.Integer, nullable=False)
    pause_sum_ms: orm.Mapped[float] = orm.mapped_column(sa.Float, nullable=False)
    pause_max_ms: orm.Mapped[float] = orm.mapped_column(sa.Float, nullable=False)


class Secondary(BASE):
    """A period in which a server had a secondary, and its resources on its host: the basis of usage."""

    __tablename__ = "secondaries"
    __table_args__ = (
        sa.Index("secondaries_project_id_idx", "project_id"),
        sa.Index("secondaries_server_id_idx", "server_id"),
    )

    id: orm.Mapped[int] = orm.mapped_column(
        sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True
    )
    server_id: orm.Mapped[str] = orm.mapped_column(sa.String(36), nullable=False)
    secondary_id: orm.Mapped[str] = orm.mapped_column("twin_id", sa.String(36), nullable=False)
    project_id: orm.Mapped[str] = orm.mapped_column(sa.String(255), nullable=False)
    host: orm.Mapped[str] = orm.mapped_column(sa.String(255), nullable=False)
    vcpus: orm.Mapped[int] = orm.mapped_column(sa.Integer, nullable=False)
    memory_mb: orm.Mapped[int] = orm.mapped_column(sa.Integer, nullable=False)
    disk_gb: orm.Mapped[int] = orm.mapped_column(sa.Integer, nullable=False)
    started_at: orm.Mapped[datetime.datetime] = orm.mapped_column(DateTime, nullable=False)
    ended_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(DateTime)


class Lease(BASE):
    """The lease of the active engine, in a single row.

    ``heard``: the number of hosts whose heartbeats it receives.
    """

    __tablename__ = "engine_lease"

    id: orm.Mapped[int] = orm.mapped_column(sa.Integer, primary_key=True, autoincrement=False)
    holder: orm.Mapped[str] = orm.mapped_column(sa.String(255), nullable=False)
    expires_at: orm.Mapped[datetime.datetime] = orm.mapped_column(DateTime, nullable=False)
    heard: orm.Mapped[int | None] = orm.mapped_column(sa.Integer)
