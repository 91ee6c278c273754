# SPDX-License-Identifier: Apache-2.0
"""First tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None

DATETIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "engine_lease",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.String(length=255), nullable=False),
        sa.Column("expires_at", DATETIME, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "hosts",
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("backend", sa.String(length=64), nullable=True),
        sa.Column("version", sa.String(length=64), nullable=True),
        sa.Column("seen_at", DATETIME, nullable=True),
        sa.Column("fenced_at", DATETIME, nullable=True),
        sa.PrimaryKeyConstraint("host"),
    )
    op.create_table(
        "operations",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("server_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("requested_by", sa.String(length=255), nullable=True),
        sa.Column("request_id", sa.String(length=255), nullable=True),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("finished_at", DATETIME, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("operations", schema=None) as batch_op:
        batch_op.create_index("operations_server_id_idx", ["server_id"], unique=False)
        batch_op.create_index("operations_status_idx", ["status"], unique=False)

    op.create_table(
        "pairs",
        sa.Column("server_id", sa.String(length=36), nullable=False),
        sa.Column("twin_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("flavor", sa.String(length=255), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=False),
        sa.Column("disk_gb", sa.Integer(), nullable=False),
        sa.Column("server_status", sa.String(length=36), nullable=False),
        sa.Column("nova_host", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=False),
        sa.Column("health", sa.String(length=16), nullable=False),
        sa.Column("health_reasons", sa.JSON(), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("mode_policy", sa.String(length=16), nullable=False),
        sa.Column("backend", sa.String(length=64), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("primary_host", sa.String(length=255), nullable=False),
        sa.Column("primary_since", DATETIME, nullable=False),
        sa.Column("secondary_host", sa.String(length=255), nullable=True),
        sa.Column("secondary_since", DATETIME, nullable=True),
        sa.Column("previous_host", sa.String(length=255), nullable=True),
        sa.Column("protected_since", DATETIME, nullable=True),
        sa.Column("progress", sa.JSON(), nullable=True),
        sa.Column("checkpoints", sa.JSON(), nullable=True),
        sa.Column("measured_at", DATETIME, nullable=True),
        sa.Column("failovers", sa.Integer(), nullable=False),
        sa.Column("failover_at", DATETIME, nullable=True),
        sa.Column("failover_reason", sa.Text(), nullable=True),
        sa.Column("failover_gap_ms", sa.Float(), nullable=True),
        sa.Column("operation_id", sa.String(length=36), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("retry_at", DATETIME, nullable=True),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.PrimaryKeyConstraint("server_id"),
        sa.UniqueConstraint("twin_id"),
    )
    with op.batch_alter_table("pairs", schema=None) as batch_op:
        batch_op.create_index("pairs_project_id_idx", ["project_id"], unique=False)
