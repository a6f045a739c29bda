"""Reading what a topic holds between given offsets, without joining a consumer group."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from time import monotonic
from typing import Any, Literal

from confluent_kafka import Consumer, TopicPartition

from stream.errors import KafkaUnavailable, StreamError
from stream.kafka.connection import ErrorWatch, tells_end
from stream.kafka.offsets import OffsetRange
from stream.kafka.polling import FETCHING, Polled, poll_batch
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings
from stream.kafka.unreadable import describe_obstacle, find_obstacle

_POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 30.0
_BATCH_SIZE = 5_000


def read_records(settings: KafkaSettings, ranges: Sequence[OffsetRange]) -> Iterator[Record]:
    """Yield the records of a topic's ranges that were not deleted; see ``read_batches``."""
    return chain.from_iterable(read_batches(settings, ranges, when_deleted="earliest"))


def read_batches(
    settings: KafkaSettings,
    ranges: Sequence[OffsetRange],
    *,
    when_deleted: Literal["earliest", "error"],
) -> Iterator[Sequence[Record]]:
    """Yield the committed records of a topic's ranges, in order within each partition.

    No offset is committed, and what comes later is not read.

    Args:
        when_deleted: what to do where the next record was deleted: go on at the ``earliest`` that
            is left, or raise an ``error``.

    Raises:
        KafkaUnavailable: nothing arrives for half a minute.
        StreamError: the topic or a batch of it cannot be read; the text names which.
    """
    unread = [wanted for wanted in ranges if wanted.low < wanted.high]
    ends = {wanted.partition: wanted.high for wanted in unread}
    watch = ErrorWatch(settings.bootstrap_servers)
    config: dict[str, Any] = {
        "group.id": f"{settings.prefix}.reader",  # librdkafka wants a name; nobody joins
        "auto.offset.reset": when_deleted,
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "error_cb": watch,
    }
    consumer = Consumer(FETCHING | config | settings.consumer_config())
    try:
        consumer.assign([TopicPartition(topic, number, low) for topic, number, _, low, _ in unread])
        heard_at = monotonic()
        while ends:
            polled = poll_batch(consumer, _BATCH_SIZE, _POLL_SECONDS, watch)
            batch, finished = _separate(polled, ends)
            if batch or finished:
                heard_at = monotonic()
            elif monotonic() - heard_at > _PATIENCE_SECONDS:
                raise KafkaUnavailable(
                    f"the broker at {settings.bootstrap_servers} sends nothing any more of "
                    f"{ranges[0].topic}, partition {', '.join(map(str, sorted(ends)))} "
                    f"({watch.last or 'no error was reported'}); run the command again"
                )
            if batch:
                yield batch
            for number in finished:
                del ends[number]
                # What is still written to it would hide that the others are silent.
                consumer.incremental_unassign([TopicPartition(ranges[0].topic, number)])
    finally:
        consumer.close()


def _separate(polled: Polled, ends: Mapping[int, int]) -> tuple[list[Record], set[int]]:
    """Return the records below ``ends``, and the partitions that were read up to there."""
    read = {record.partition: record.offset + 1 for record in polled.records}
    for message in polled.errors:
        number = message.partition()
        if number is not None and number not in ends:
            continue
        obstacle = find_obstacle(message)
        if tells_end(message) or (obstacle and obstacle.offset >= ends[number or 0]):
            # The last record may be one of Kafka's own, which only what lies behind it tells.
            read[number or 0] = max(read.get(number or 0, 0), message.offset() or 0)
        elif obstacle is not None:
            # Whoever asks for a range shall not get it with a hole in it.
            raise StreamError(describe_obstacle(message.topic() or "", number or 0, obstacle))
    records = [
        record for record in polled.records if record.offset < ends.get(record.partition, -1)
    ]
    return records, {number for number, end in ends.items() if read.get(number, 0) >= end}
