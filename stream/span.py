"""Reading what a topic holds now, from end to end, without joining a consumer group."""

from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition

from stream.connection import ErrorWatch, raise_if_lasting
from stream.errors import KafkaUnavailable
from stream.extent import Extent
from stream.record import Record
from stream.settings import KafkaSettings

_POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 30.0


def read_span(settings: KafkaSettings, extents: Sequence[Extent]) -> Iterator[Record]:
    """Yield the records of a topic's extents, in order within each partition, committed ones only.

    No offset is committed, and what comes later is not read.

    Raises:
        KafkaUnavailable: nothing arrives for half a minute.
        StreamError: the topic cannot be read.
    """
    ends = {one.part: one.high for one in extents if one.low < one.high}
    watch = ErrorWatch(settings.bootstrap_servers)
    consumer = Consumer(_configure(settings, watch))
    try:
        consumer.assign(
            [TopicPartition(one.topic, one.part, one.low) for one in extents if one.part in ends]
        )
        heard_at = monotonic()
        while ends:
            message = consumer.poll(_POLL_SECONDS)
            watch.raise_if_hopeless()
            if message is None:
                _refuse_silence(monotonic() - heard_at, watch, settings)
                continue
            heard_at = monotonic()
            part, offset, error = message.partition() or 0, message.offset() or 0, message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001
                raise_if_lasting(error, message.topic() or "")
                continue
            if error is None and offset < ends.get(part, 0):
                yield Record.from_kafka(message)
            # The last record may be one of Kafka's own, which only the end of the partition tells.
            if part in ends and (error is not None or offset + 1 >= ends[part]):
                del ends[part]
                # What is still written to it would hide that the others are silent.
                consumer.incremental_unassign([TopicPartition(message.topic() or "", part)])
    finally:
        consumer.close()


def _configure(settings: KafkaSettings, watch: ErrorWatch) -> dict[str, Any]:
    config: dict[str, Any] = {
        "group.id": f"{settings.prefix}.reader",  # librdkafka wants a name; nobody joins
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",  # the oldest may be deleted while we begin
        "isolation.level": "read_committed",
        "error_cb": watch,
    }
    return config | settings.client_config()


def _refuse_silence(seconds: float, watch: ErrorWatch, settings: KafkaSettings) -> None:
    if seconds > _PATIENCE_SECONDS:
        raise KafkaUnavailable(
            f"the broker at {settings.bootstrap_servers} sends nothing any more "
            f"({watch.last or 'no error was reported'}); run the command again"
        )
