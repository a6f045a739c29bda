"""Batches that no reader of Kafka can read, and that an operator has skipped.

Ingestion, inference, archives and replays leave out what stands here, and nothing else.
"""

from datetime import datetime

from sqlalchemy import Connection, Engine, delete, insert, inspect, select, tuple_

from server_classifier.store.database import open_read_only, reading, refuse_missing
from server_classifier.store.errors import StoreUnavailable
from server_classifier.store.tables import skip
from stream.errors import DependencyDown
from stream.kafka.offsets import OffsetRange


def add_skip(connection: Connection, skipped: OffsetRange, reason: str, *, now: datetime) -> None:
    """Let every reader leave out these offsets from now on."""
    key = (skip.c.topic, skip.c.partition, skip.c.log_id, skip.c.first_offset)
    connection.execute(delete(skip).where(tuple_(*key) == skipped[:4]))
    connection.execute(insert(skip).values((*skipped, reason, now)))


def list_skips(connection: Connection, topic: str) -> list[OffsetRange]:
    """Return what is skipped of a topic, by partition and offset; also of one that is gone.

    A database of an older revision, which is only read, has no skips.
    """
    if not inspect(connection).has_table(skip.name):
        return []
    columns = (skip.c.topic, skip.c.partition, skip.c.log_id, skip.c.first_offset)
    chosen = select(*columns, skip.c.next_offset).where(skip.c.topic == topic)
    rows = connection.execute(chosen.order_by(*columns))
    return [OffsetRange._make(row) for row in rows]


def find_skips(engine: Engine, topic: str) -> list[OffsetRange]:
    """Return what is skipped of a topic, for a service that reads it.

    Raises:
        DependencyDown: the database is away.
    """
    try:
        with reading(engine) as connection:
            return list_skips(connection, topic)
    except StoreUnavailable as error:
        raise DependencyDown(str(error)) from error


def read_skips(url: str, topic: str) -> list[OffsetRange]:
    """Return what is skipped of a topic, from the database at an address, which is only read.

    Raises:
        StoreError: there is no such database.
    """
    engine = open_read_only(url)
    refuse_missing(engine)
    try:
        with reading(engine) as connection:
            return list_skips(connection, topic)
    finally:
        engine.dispose()
