"""The tables of the server's database, the same on SQLite and PostgreSQL.

Times are milliseconds since 1970 UTC, the unit of Kafka's own timestamps: an ingested row needs no
conversion on either database.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


class UtcTime(TypeDecorator[datetime]):
    """A timezone-aware datetime kept as whole milliseconds since 1970 UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (value - EPOCH) // MILLISECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else EPOCH + value * MILLISECOND


# Named constraints, so that a later migration can drop one on both databases.
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

CLIENT_ID = String(63)
ENCODER_ID = String(64)  # sha256, hexadecimal

site = Table(
    "site",
    metadata,
    Column("site", String(63), primary_key=True),
    Column("added_at", UtcTime, nullable=False),
)

encoder = Table(
    "encoder",
    metadata,
    Column("encoder_id", ENCODER_ID, primary_key=True),
    Column("manifest", Text, nullable=False),
    Column("latent_dim", Integer, nullable=False),
    Column("added_at", UtcTime, nullable=False),
)

client = Table(
    "client",
    metadata,
    Column("client_id", CLIENT_ID, primary_key=True),
    Column("site", ForeignKey(site.c.site), nullable=False),
    Column("default_encoder", ForeignKey(encoder.c.encoder_id)),
    Column("registered_at", UtcTime, nullable=False),
)

# No foreign keys here: ingestion has just looked up client and encoder, and to look them up again
# would cost a quarter of its speed. AUTOINCREMENT: the id of a deleted row is never used again.
latent = Table(
    "latent",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("message_id", String(36), nullable=False, unique=True),
    Column("site", String(63), nullable=False),
    Column("client_id", CLIENT_ID, nullable=False),
    Column("encoder_id", ENCODER_ID, nullable=False),
    Column("label", Text, nullable=False),
    Column("dtype", String(8), nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("image_id", Text),
    Column("subject", Text),
    Column("aggregate_kind", String(8), nullable=False),
    Column("aggregate_count", Integer, nullable=False),
    Column("privacy", Text),
    Column("policy", Text),
    Column("sent_at", UtcTime, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("topic", String(249), nullable=False),
    Column("part", Integer, key="partition", nullable=False),
    Column("kafka_offset", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

# Every label that was ever admitted, so that their number is known without a look at the latents.
label = Table("label", metadata, Column("label", Text, primary_key=True))

classifier = Table(
    "classifier",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", String(32), nullable=False, unique=True),
    Column("encoder_id", ForeignKey(encoder.c.encoder_id), nullable=False),
    Column("manifest", Text, nullable=False),
    Column("trained_at", UtcTime, nullable=False),
    Column("onnx", LargeBinary, nullable=False),
    Index("ix_classifier_encoder_id", "encoder_id", "id"),
)

# How far each partition of Kafka has been read into this database. ``log_id`` is Kafka's id of the
# topic (KIP-516), another one after the topic was deleted and made again. ``epoch`` grows with each
# process that takes over the partition; a write with an older epoch fails.
position = Table(
    "position",
    metadata,
    Column("topic", String(249), primary_key=True),
    Column("part", Integer, key="partition", primary_key=True, autoincrement=False),
    Column("log_id", String(64), nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("owner", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("moved_at", UtcTime, nullable=False),
)

# Batches of Kafka that cannot be read, which an operator has skipped: ``next_offset`` lies behind.
skip = Table(
    "skip",
    metadata,
    Column("topic", String(249), primary_key=True),
    Column("part", Integer, key="partition", primary_key=True, autoincrement=False),
    Column("log_id", String(64), primary_key=True),
    Column("first_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("skipped_at", UtcTime, nullable=False),
)

# In a database that a replay has filled: one row with its request and its report, both JSON.
# ``digest`` and ``finished_at`` are set after the last record. A live database has no row here.
replay = Table(
    "replay",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("request", Text, nullable=False),
    Column("report", Text, nullable=False),
    Column("digest", String(64)),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
)

# A named, unchanging list of latents in the order of their ids. A member's ``revision`` is the hash
# of what the site of its latent had stated when the list was made (``revisions.py``).
dataset = Table(
    "dataset",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("selection", Text, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

dataset_member = Table(
    "dataset_member",
    metadata,
    Column("dataset_id", ForeignKey(dataset.c.id), primary_key=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("message_id", String(36), nullable=False),
    Column("revision", String(32), nullable=False),
    sqlite_with_rowid=False,  # one tree instead of two
)
