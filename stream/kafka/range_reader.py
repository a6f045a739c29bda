"""Reading what a topic holds between given offsets, without joining a consumer group."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from time import monotonic
from typing import Any, Literal

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka import Message as KafkaMessage

from stream.errors import KafkaUnavailable, StreamError
from stream.kafka.connection import ErrorWatch, poll_batch
from stream.kafka.offsets import OffsetRange
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
        "fetch.queue.backoff.ms": 2,  # the default of 1 s leaves the CPU idle
        "queued.max.messages.kbytes": 16_384,  # prefetched into memory beside the batch in hand
        "isolation.level": "read_committed",
        "error_cb": watch,
    }
    consumer = Consumer(config | settings.consumer_config())
    try:
        consumer.assign([TopicPartition(topic, number, low) for topic, number, _, low, _ in unread])
        heard_at = monotonic()
        while ends:
            messages = poll_batch(consumer, _BATCH_SIZE, _POLL_SECONDS, watch)
            batch, finished = _separate(messages, ends)
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


def _separate(
    messages: Sequence[KafkaMessage], ends: Mapping[int, int]
) -> tuple[list[Record], set[int]]:
    """Return the records below ``ends``, and the partitions that were read up to there."""
    records: list[Record] = []
    finished: set[int] = set()
    for message in messages:
        number = message.partition()
        if number in finished or (number is not None and number not in ends):
            continue
        obstacle = find_obstacle(message)
        if number is None:
            continue
        if obstacle is not None and obstacle.offset < ends[number]:
            # Whoever asks for a range shall not get it with a hole in it.
            raise StreamError(describe_obstacle(message.topic() or "", number, obstacle))
        offset, is_record = message.offset() or 0, message.error() is None
        if is_record and offset < ends[number]:
            records.append(Record.from_kafka(message))
        # The last record may be one of Kafka's own, which only what lies behind it tells.
        if offset + is_record >= ends[number]:
            finished.add(number)
    return records, finished
