"""Batches that cannot be read: damaged on the broker's disk, or too large once decompressed.

Nobody gets past one: librdkafka asks for it again and again. It says so in an error that names an
offset. Such a batch ends where another offset can be read, which is found by trying.
"""

from bisect import bisect_left
from time import monotonic
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka import Message as KafkaMessage

from stream.errors import StreamError
from stream.kafka.connection import ErrorWatch, explaining_kafka, raise_if_lasting, tells_end
from stream.kafka.offsets import OffsetRange
from stream.kafka.settings import KafkaSettings

_ANSWER_SECONDS = 10.0
_POLL_SECONDS = 0.2


class Obstacle(NamedTuple):
    """What keeps a partition from being read on: an offset of it, and why.

    ``of_broker``: the broker itself cannot read there, and the offset is the one it was asked for.
    Otherwise it is the first of the batch.
    """

    offset: int
    reason: str
    of_broker: bool = False


def find_obstacle(message: KafkaMessage) -> Obstacle | None:
    """Return what an error of a consumer says about one offset; None where it says nothing of it.

    Raises:
        StreamError: the whole topic cannot be read.
    """
    error, offset = message.error(), message.offset()
    if error is None or tells_end(message):
        return None
    raise_if_lasting(error, message.topic() or "")
    if message.partition() is None or offset is None or offset < 0:
        return None
    return Obstacle(offset, error.str(), of_broker=error.code() > 0)


def is_stray(message: KafkaMessage, asked: int | None) -> bool:
    """Tell whether an error is about an offset that nobody has asked for.

    Behind a wrong sum librdkafka goes on at a wrong place, and may take a next offset from there.
    """
    error = message.error()
    is_outside = error is not None and error.code() == KafkaError._AUTO_OFFSET_RESET
    return is_outside and asked not in (None, message.offset())


def describe_obstacle(topic: str, partition: int, obstacle: Obstacle) -> str:
    """Say what cannot be read, and with which command it is skipped."""
    return (
        f"{topic}[{partition}] cannot be read at offset {obstacle.offset}: {obstacle.reason}. To "
        f"go on behind this batch: `ioa server skip --topic {topic} --partition {partition} "
        f"--offset {obstacle.offset}`"
    )


def find_unreadable(
    settings: KafkaSettings, held: OffsetRange, offset: int
) -> tuple[OffsetRange, str]:
    """Find the whole batch that keeps a partition from being read on at an offset.

    Args:
        held: what Kafka holds of the partition.

    Returns:
        Its offsets, and why it cannot be read. Where the broker cannot tell where it ends, they
        reach up to the next offset that can be read.

    Raises:
        StreamError: this offset can be read.
        KafkaUnavailable: the broker does not answer.
    """
    reader = _OffsetReader(settings, held)
    try:
        first = reader.try_at(offset)
        if first is None:
            raise StreamError(f"{held.topic}[{held.partition}] can be read at offset {offset}")
        end = _find_end(reader, first, held.high)
        return held._replace(low=first.offset, high=end), first.reason
    finally:
        reader.close()


def _find_end(reader: "_OffsetReader", first: Obstacle, high: int) -> int:
    """Return the first offset behind a batch: ever longer strides until it can be read, then back.

    Most batches are short, and the log behind one may be long and damaged elsewhere, too.
    """

    def is_behind(offset: int) -> bool:
        found = reader.try_at(offset)
        return found is None or (found.offset > first.offset and not found.of_broker)

    inside, stride = first.offset, 1
    while (outside := inside + stride) < high and not is_behind(outside):
        inside, stride = outside, 2 * stride
    between = range(inside + 1, min(outside, high))
    return between.start + bisect_left(between, True, key=is_behind)


class _OffsetReader:
    """Tries to read single offsets of a partition, as services read it."""

    def __init__(self, settings: KafkaSettings, held: OffsetRange) -> None:
        self._held = held
        self._watch = ErrorWatch(settings.bootstrap_servers)
        config: dict[str, Any] = {
            "group.id": f"{settings.prefix}.reader",  # librdkafka wants a name; nobody joins
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "queued.max.messages.kbytes": 1024,
            "error_cb": self._watch,
        }
        self._consumer = Consumer(config | settings.consumer_config())

    def try_at(self, offset: int) -> Obstacle | None:
        """Return what keeps this offset from being read; None where nothing does.

        Raises:
            KafkaUnavailable: the broker does not answer.
        """
        self._consumer.assign([TopicPartition(self._held.topic, self._held.partition, offset)])
        end = monotonic() + _ANSWER_SECONDS
        while monotonic() < end:
            message = self._consumer.poll(_POLL_SECONDS)
            self._watch.raise_if_hopeless()
            if message is None or is_stray(message, offset):
                continue
            if (obstacle := find_obstacle(message)) is not None:
                return obstacle
            if message.error() is None or tells_end(message):
                return None
        # Some damage librdkafka reports but once, and elsewhere in the batch it says nothing.
        with explaining_kafka():
            self._consumer.get_watermark_offsets(
                TopicPartition(self._held.topic, self._held.partition), timeout=_ANSWER_SECONDS
            )
        return Obstacle(offset, "nothing arrives, though the broker answers", of_broker=True)

    def close(self) -> None:
        self._consumer.close()
