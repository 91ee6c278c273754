# SPDX-License-Identifier: Apache-2.0
"""What users want of a pair; events, checkpoint history and secondaries for usage."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"

DATETIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("pairs") as batch_op:
        batch_op.add_column(
            sa.Column("wanted", sa.String(length=16), nullable=False, server_default="protected")
        )
        batch_op.add_column(sa.Column("reserved_host", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("return_to", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("checkpoint_interval_ms", sa.Integer(), nullable=True))
        batch_op.add_column(
            sa.Column("auto_reprotect", sa.Boolean(), nullable=False, server_default=sa.true())
        )
        batch_op.add_column(sa.Column("checkpoint_rate", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("pause_p99_ms", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("first_error", sa.Text(), nullable=True))
    with op.batch_alter_table("hosts") as batch_op:
        batch_op.add_column(sa.Column("capable", sa.Boolean(), nullable=False, server_default=sa.true()))
        batch_op.add_column(sa.Column("reasons", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("versions", sa.JSON(), nullable=True))
    op.create_index("operations_finished_at_idx", "operations", ["finished_at"])
    op.create_table(
        "events",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("server_id", sa.String(length=36), nullable=False),
        sa.Column("at", DATETIME, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("request_id", sa.String(length=255), nullable=True),
        sa.Column("user_id", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("events_server_id_id_idx", "events", ["server_id", "id"])
    op.create_index("events_at_idx", "events", ["at"])
    op.create_table(
        "checkpoint_buckets",
        sa.Column("server_id", sa.String(length=36), nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seconds", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("mismatch", sa.Integer(), nullable=False),
        sa.Column("periodic", sa.Integer(), nullable=False),
        sa.Column("forced", sa.Integer(), nullable=False),
        sa.Column("pause_sum_ms", sa.Float(), nullable=False),
        sa.Column("pause_max_ms", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("server_id", "start", "seconds"),
    )
    op.create_index("checkpoint_buckets_start_idx", "checkpoint_buckets", ["seconds", "start"])
    op.create_table(
        "secondaries",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("server_id", sa.String(length=36), nullable=False),
        sa.Column("twin_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=False),
        sa.Column("disk_gb", sa.Integer(), nullable=False),
        sa.Column("started_at", DATETIME, nullable=False),
        sa.Column("ended_at", DATETIME, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("secondaries_project_id_idx", "secondaries", ["project_id"])
    op.create_index("secondaries_server_id_idx", "secondaries", ["server_id"])
