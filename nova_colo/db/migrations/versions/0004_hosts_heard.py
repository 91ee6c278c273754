# SPDX-License-Identifier: Apache-2.0
"""The lease tells how many hosts its engine hears."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Apply; also when it was interrupted before."""
    if any(column["name"] == "heard" for column in sa.inspect(op.get_bind()).get_columns("engine_lease")):
        return
    with op.batch_alter_table("engine_lease") as batch_op:
        batch_op.add_column(sa.Column("heard", sa.Integer(), nullable=True))
