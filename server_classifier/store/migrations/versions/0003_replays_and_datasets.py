"""Replays that fill a database of their own, and datasets: named, unchanging lists of latents."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "replay",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64)),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_replay"),
    )
    op.create_table(
        "dataset",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("selection", sa.Text, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dataset"),
        sa.UniqueConstraint("name", name="uq_dataset_name"),
    )
    op.create_table(
        "dataset_member",
        sa.Column("dataset_id", sa.Integer, nullable=False),
        sa.Column("ordinal", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("message_id", sa.String(36), nullable=False),
        sa.Column("revision", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "ordinal", name="pk_dataset_member"),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["dataset.id"], name="fk_dataset_member_dataset_id"
        ),
        sqlite_with_rowid=False,
    )
