"""Batches that cannot be read: damaged on the broker's disk, or too large once decompressed.

Nobody gets past one: librdkafka asks for it again and again. It says so in an error that names an
offset. Such a batch ends where another offset can be read, which is found by trying.
"""

from bisect import bisect_left
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka import Message as KafkaMessage

from stream.errors import StreamError
from stream.kafka.connection import ErrorWatch, explaining_kafka, raise_if_lasting, tells_end
from stream.kafka.offsets import OffsetRange
from stream.kafka.settings import KafkaSettings

_ANSWER_SECONDS = 5.0
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
    try_at = partial(_try_at, settings, held)
    if (first := try_at(offset)) is None:
        raise StreamError(f"{held.topic}[{held.partition}] can be read at offset {offset}")
    end = _find_end(try_at, first, held.high)
    return held._replace(low=first.offset, high=end), first.reason


def _find_end(try_at: Callable[[int], Obstacle | None], first: Obstacle, high: int) -> int:
    """Return the first offset behind a batch: ever longer strides until it can be read, then back.

    Most batches are short, and the log behind one may be long and damaged elsewhere, too.
    """

    def is_behind(offset: int) -> bool:
        found = try_at(offset)
        return found is None or (found.offset > first.offset and not found.of_broker)

    inside, stride = first.offset, 1
    while (outside := inside + stride) < high and not is_behind(outside):
        inside, stride = outside, 2 * stride
    between = range(inside + 1, min(outside, high))
    return between.start + bisect_left(between, True, key=is_behind)


def _try_at(settings: KafkaSettings, held: OffsetRange, offset: int) -> Obstacle | None:
    """Return what keeps an offset from being read; None where nothing does.

    By a consumer of its own: what another has met goes on to bring it errors from elsewhere.
    """
    watch = ErrorWatch(settings.bootstrap_servers)
    config: dict[str, Any] = {
        "group.id": f"{settings.prefix}.reader",  # librdkafka wants a name; nobody joins
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "queued.max.messages.kbytes": 1024,
        "error_cb": watch,
    }
    consumer = Consumer(config | settings.consumer_config())
    partition = TopicPartition(held.topic, held.partition, offset)
    try:
        consumer.assign([partition])
        end = monotonic() + _ANSWER_SECONDS
        while monotonic() < end:
            message = consumer.poll(_POLL_SECONDS)
            watch.raise_if_hopeless()
            if message is None:
                continue
            obstacle = find_obstacle(message)
            if obstacle is not None or message.error() is None or tells_end(message):
                return obstacle
        # Some damage librdkafka reports but once, and elsewhere in the batch it says nothing.
        with explaining_kafka():
            consumer.get_watermark_offsets(partition, timeout=_ANSWER_SECONDS)
        return Obstacle(offset, "nothing arrives, though the broker answers", of_broker=True)
    finally:
        consumer.close()
