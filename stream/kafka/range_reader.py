"""Reading what a topic holds between given offsets, without joining a consumer group."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from time import monotonic
from typing import Any, Literal

from confluent_kafka import Consumer, KafkaError, TopicPartition

from stream.errors import KafkaUnavailable, StreamError
from stream.kafka.connection import ErrorWatch, raise_if_lasting
from stream.kafka.offsets import OffsetRange
from stream.kafka.polling import FETCHING, Polled, poll_batch
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings

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
        StreamError: the topic cannot be read, or the broker's disk has damaged a record.
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
        # A broker checks the sum of a batch when it arrives, not when it reads it from its disk.
        "check.crcs": True,
        "error_cb": watch,
    }
    consumer = Consumer(FETCHING | config | settings.client_config())
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
                    f"the broker at {settings.bootstrap_servers} sends nothing any more "
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
        number, error = message.partition() or 0, message.error()
        if error is None or error.code() == KafkaError._PARTITION_EOF:
            # The last record may be one of Kafka's own, which only the end of the partition tells.
            read[number] = max(read.get(number, 0), message.offset() or 0)
            continue
        raise_if_lasting(error, message.topic() or "")
        if error.code() == KafkaError._BAD_MSG:
            # Whoever asks for a range shall not get it with a hole in it.
            raise StreamError(f"{message.topic()}[{number}] is damaged: {error.str()}")
    records = [
        record for record in polled.records if record.offset < ends.get(record.partition, -1)
    ]
    return records, {number for number, end in ends.items() if read.get(number, 0) >= end}
