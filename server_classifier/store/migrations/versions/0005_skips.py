"""Batches of Kafka that cannot be read, which an operator has skipped."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "skip",
        sa.Column("topic", sa.String(249), nullable=False),
        sa.Column("part", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("log_id", sa.String(64), nullable=False),
        sa.Column("first_offset", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("next_offset", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("skipped_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("topic", "part", "log_id", "first_offset", name="pk_skip"),
    )
