"""Skipping a batch of a topic that nobody can read, so that services go on behind it."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Engine

from server_classifier.store.database import reading, writing
from server_classifier.store.skips import add_skip, list_skips
from stream.dead_letters.writer import DeadLetterWriter
from stream.errors import StreamError
from stream.exchange.topics import Topics
from stream.kafka.connection import connect_admin
from stream.kafka.offsets import OffsetRange, read_ranges
from stream.kafka.producer import Publisher
from stream.kafka.settings import KafkaSettings
from stream.kafka.unreadable import find_unreadable


def skip_batch(
    engine: Engine, kafka: KafkaSettings, topic: str, partition: int, offset: int, *, now: datetime
) -> OffsetRange:
    """Skip the batch that keeps a partition from being read at an offset; return its offsets.

    The stub among the dead letters is delivered first: nothing is skipped in silence. A batch that
    is skipped already stays so.

    Raises:
        StreamError: the offset can be read, is not there, or the stub was not delivered.
    """
    held = _find_partition(read_ranges(connect_admin(kafka), topic), partition)
    with reading(engine) as connection:
        before = [skip for skip in list_skips(connection, topic) if _covers(skip, held, offset)]
    if before:
        return before[0]
    skipped, reason = find_unreadable(kafka, held, offset)
    _write_stub(kafka, skipped, reason)
    with writing(engine) as connection:
        add_skip(connection, skipped, reason, now=now)
    return skipped


def _find_partition(ranges: Iterable[OffsetRange], partition: int) -> OffsetRange:
    by_number = {held.partition: held for held in ranges}
    if partition not in by_number:
        topic = next(iter(by_number.values())).topic
        raise StreamError(f"{topic} has no partition {partition}, only 0 to {max(by_number)}")
    return by_number[partition]


def _covers(skip: OffsetRange, held: OffsetRange, offset: int) -> bool:
    return skip[:3] == held[:3] and skip.low <= offset < skip.high


def _write_stub(kafka: KafkaSettings, skipped: OffsetRange, reason: str) -> None:
    publisher = Publisher(kafka)
    DeadLetterWriter(publisher, Topics(kafka.prefix)).write_skipped(skipped, reason)
    publisher.flush()
