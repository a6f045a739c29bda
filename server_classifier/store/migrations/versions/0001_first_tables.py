"""The first tables: site, encoder, client, latent, classifier."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "site",
        sa.Column("site", sa.String(63), nullable=False),
        sa.Column("added_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("site", name="pk_site"),
    )
    op.create_table(
        "encoder",
        sa.Column("encoder_id", sa.String(64), nullable=False),
        sa.Column("manifest", sa.Text, nullable=False),
        sa.Column("latent_dim", sa.Integer, nullable=False),
        sa.Column("added_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("encoder_id", name="pk_encoder"),
    )
    create_client()
    create_latent()
    create_classifier()


def create_client() -> None:
    op.create_table(
        "client",
        sa.Column("client_id", sa.String(63), nullable=False),
        sa.Column("site", sa.String(63), nullable=False),
        sa.Column("default_encoder", sa.String(64)),
        sa.Column("registered_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("client_id", name="pk_client"),
        sa.ForeignKeyConstraint(["site"], ["site.site"], name="fk_client_site"),
        sa.ForeignKeyConstraint(
            ["default_encoder"], ["encoder.encoder_id"], name="fk_client_default_encoder"
        ),
    )


def create_latent() -> None:
    op.create_table(
        "latent",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("message_id", sa.String(36), nullable=False),
        sa.Column("site", sa.String(63), nullable=False),
        sa.Column("client_id", sa.String(63), nullable=False),
        sa.Column("encoder_id", sa.String(64), nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("dtype", sa.String(8), nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("image_id", sa.Text),
        sa.Column("subject", sa.Text),
        sa.Column("aggregate_kind", sa.String(8), nullable=False),
        sa.Column("aggregate_count", sa.Integer, nullable=False),
        sa.Column("privacy", sa.Text),
        sa.Column("policy", sa.Text),
        sa.Column("sent_at", sa.BigInteger, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("topic", sa.String(249), nullable=False),
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("kafka_offset", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("message_id", name="uq_latent_message_id"),
        sqlite_autoincrement=True,
    )


def create_classifier() -> None:
    op.create_table(
        "classifier",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("encoder_id", sa.String(64), nullable=False),
        sa.Column("manifest", sa.Text, nullable=False),
        sa.Column("trained_at", sa.BigInteger, nullable=False),
        sa.Column("onnx", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_classifier"),
        sa.UniqueConstraint("version", name="uq_classifier_version"),
        sa.ForeignKeyConstraint(
            ["encoder_id"], ["encoder.encoder_id"], name="fk_classifier_encoder_id"
        ),
    )
    op.create_index("ix_classifier_encoder_id", "classifier", ["encoder_id", "id"])
