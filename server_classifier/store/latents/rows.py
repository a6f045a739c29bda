"""Storing latents and counting them. What goes to the trainer is in ``training_set``."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select

from server_classifier.store.tables import EPOCH, MILLISECOND, latent


class LatentRow(NamedTuple):
    """One accepted learning message: the columns of ``latent`` but its id, in their order.

    ``value`` holds little-endian numbers of ``dtype``; ``privacy`` is JSON; ``sent_at`` (the
    client's clock) and ``received_at`` are milliseconds since 1970 UTC; ``topic``, ``part`` and
    ``kafka_offset`` tell where the message lay.
    """

    message_id: str
    site: str
    client_id: str
    encoder_id: str
    label: str
    dtype: str
    value: bytes
    image_id: str | None
    subject: str | None
    aggregate_kind: str
    aggregate_count: int
    privacy: str | None
    policy: str | None
    sent_at: int
    received_at: int
    topic: str
    part: int
    kafka_offset: int


_INSERT = (
    f"INSERT INTO latent ({', '.join(LatentRow._fields)}) "  # noqa: S608 (names of our own)
    f"VALUES ({', '.join('?' for _ in LatentRow._fields)}) ON CONFLICT (message_id) DO NOTHING"
)


class NewLatents(NamedTuple):
    """The latents after an id: the last id of all, and how many of each encoder."""

    last_id: int
    by_encoder: dict[str, int]


def insert_latents(connection: Connection, rows: Sequence[LatentRow]) -> int:
    """Store latents and return how many were new; a known ``message_id`` is left as it is."""
    if not rows:
        return 0
    if connection.dialect.name == "postgresql":
        from server_classifier.store.latents.copying import copy_latents  # psycopg is an extra

        return copy_latents(connection, rows)
    # The statement goes to the driver as text: SQLAlchemy would make a dict of every row.
    # As plain tuples: sqlite3 takes named ones apart item by item.
    return connection.exec_driver_sql(_INSERT, [tuple(row) for row in rows]).rowcount


def count_latents(connection: Connection) -> int:
    """Return how many latents are stored."""
    return connection.scalar(select(func.count()).select_from(latent)) or 0


def count_latents_by_client(connection: Connection) -> dict[str, int]:
    """Return how many latents of each client are stored, by client id."""
    rows = connection.execute(select(latent.c.client_id, func.count()).group_by(latent.c.client_id))
    return {client_id: count for client_id, count in rows}


def count_new_latents(
    connection: Connection, after_id: int, encoder_id: str | None = None
) -> NewLatents:
    """Count the latents whose id is above ``after_id``, of one encoder or of all.

    Only those are read, so that it can be asked often. On PostgreSQL a slower transaction may
    still add an id below ``last_id``.
    """
    chosen = latent.c.id > after_id
    if encoder_id is not None:
        chosen &= latent.c.encoder_id == encoder_id
    rows = connection.execute(
        select(latent.c.encoder_id, func.count(), func.max(latent.c.id))
        .where(chosen)
        .group_by(latent.c.encoder_id)
    ).all()
    last_id = max((last for _, _, last in rows), default=after_id)
    return NewLatents(last_id, {encoder: count for encoder, count, _ in rows})


def prefer_earliest(connection: Connection, rows: Sequence[LatentRow]) -> None:
    """Of messages with one id, keep what Kafka took first, in whatever order they are stored.

    Only a careless client gives one id to two messages. Where they lie in two partitions, the
    order in which these are read would decide which of them is stored.
    """
    first: dict[str, LatentRow] = {}
    for row in sorted(rows, key=_place):
        first.setdefault(row.message_id, row)
    columns = [latent.c.message_id, latent.c.received_at, latent.c.part, latent.c.kafka_offset]
    stored = connection.execute(select(*columns).where(latent.c.message_id.in_(first))).all()
    later = [
        row.message_id
        for row in stored
        if ((row.received_at - EPOCH) // MILLISECOND, row.part, row.kafka_offset)
        > _place(first[row.message_id])
    ]
    connection.execute(delete(latent).where(latent.c.message_id.in_(later)))
    insert_latents(connection, [first[message_id] for message_id in later])


def _place(row: LatentRow) -> tuple[int, int, int]:
    return (row.received_at, row.part, row.kafka_offset)
