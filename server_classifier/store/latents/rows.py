"""Storing latents and counting them. What the trainer reads is in ``training_set``."""

from collections.abc import Sequence
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, delete, func, select

from server_classifier.store.latents.contents import separate_known
from server_classifier.store.latents.latent_row import COLUMN_NAMES, LatentRow
from server_classifier.store.tables import EPOCH, MILLISECOND, latent

_INSERT = (
    f"INSERT INTO latent ({COLUMN_NAMES}) "  # noqa: S608 (names of our own)
    f"VALUES ({', '.join('?' for _ in LatentRow._fields)}) ON CONFLICT (message_id) DO NOTHING"
)

_FIND_OLDER = (
    "SELECT message_id FROM latent WHERE message_id IN (SELECT value FROM json_each(?)) AND id <= ?"
)


class NewLatents(NamedTuple):
    """The latents after an id: the last id of all, and the number of latents of each encoder."""

    last_id: int
    by_encoder: dict[str, int]


def insert_latents(connection: Connection, rows: Sequence[LatentRow]) -> list[LatentRow]:
    """Store latents; return those that were left out, since their ``message_id`` was known."""
    if not rows:
        return []
    if connection.dialect.name == "postgresql":
        from server_classifier.store.latents.copying import copy_latents  # psycopg is an extra

        return copy_latents(connection, rows)
    last_id = connection.exec_driver_sql("SELECT max(id) FROM latent").scalar() or 0
    # The statement goes to the driver as text: SQLAlchemy would make a dict of every row.
    # As plain tuples: sqlite3 takes named ones apart item by item.
    stored = connection.exec_driver_sql(_INSERT, [tuple(row) for row in rows]).rowcount
    return [] if stored == len(rows) else _find_known(connection, rows, last_id)


def _find_known(connection: Connection, rows: Sequence[LatentRow], last_id: int) -> list[LatentRow]:
    """Return the rows that SQLite left out, whose ids were stored up to ``last_id`` or stand twice.

    Only its index is read.
    """
    ids = orjson.dumps([row.message_id for row in rows]).decode()
    stored = connection.exec_driver_sql(_FIND_OLDER, (ids, last_id)).scalars()
    _, known = separate_known(rows, stored)
    return known


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

    Only these are read, so that it may be asked often. On PostgreSQL a slower transaction may
    still add an id below ``last_id``.
    """
    condition = latent.c.id > after_id
    if encoder_id is not None:
        condition &= latent.c.encoder_id == encoder_id
    rows = connection.execute(
        select(latent.c.encoder_id, func.count(), func.max(latent.c.id))
        .where(condition)
        .group_by(latent.c.encoder_id)
    ).all()
    last_id = max((last for _, _, last in rows), default=after_id)
    return NewLatents(last_id, {encoder: count for encoder, count, _ in rows})


def prefer_earliest(connection: Connection, known: Sequence[LatentRow]) -> None:
    """Keep the message that Kafka took first where several have one id, in any order of storing.

    Only a careless or hostile client gives one id to two messages. If they lie in two partitions,
    the order in which the partitions are read would otherwise decide which message is stored.
    """
    if not known:
        return
    earliest: dict[str, LatentRow] = {}
    for row in sorted(known, key=_place_in_kafka):
        earliest.setdefault(row.message_id, row)
    place = (latent.c.received_at, latent.c.partition, latent.c.kafka_offset)
    stored = connection.execute(
        select(latent.c.message_id, *place).where(latent.c.message_id.in_(earliest))
    )
    later = [
        message_id
        for message_id, received_at, partition, offset in stored
        if ((received_at - EPOCH) // MILLISECOND, partition, offset)
        > _place_in_kafka(earliest[message_id])
    ]
    connection.execute(delete(latent).where(latent.c.message_id.in_(later)))
    insert_latents(connection, [earliest[message_id] for message_id in later])


def _place_in_kafka(row: LatentRow) -> tuple[int, int, int]:
    return (row.received_at, row.partition, row.kafka_offset)
