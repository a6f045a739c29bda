"""Taking records from a consumer: few bytes at a time, however well they were compressed.

librdkafka unpacks all batches that are in one answer of the broker before it counts a byte of them,
and with zstd 10 MB of blanks arrive as 0.3 kB. So the only bound is how much is asked for at once.
The broker sends whole batches, and at least one: this costs batches of many records nothing, and of
batches of one record 27,000 are read in a second. Measured with librdkafka 2.16.
"""

from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError
from confluent_kafka import Message as KafkaMessage

from stream.kafka.connection import ErrorWatch, tells_end
from stream.kafka.record import Record

BATCH_BYTES = 16 * 2**20
"""A batch ends with the record that reaches this; 2,000 latents of 784 float32 have half of it."""

FETCHING: dict[str, Any] = {
    # Compressed, from all partitions of a broker together; librdkafka wants both for that.
    "fetch.max.bytes": 2_048,
    "message.max.bytes": 2_048,
    # The default of 1 s leaves the CPU idle while records wait.
    "fetch.queue.backoff.ms": 2,
    # What is unpacked and waits in memory, beside the batch in hand. One batch goes beyond it.
    "queued.max.messages.kbytes": 4_096,
}
"""Settings that every consumer of ours has."""

_PORTION = 16
_LARGE = BATCH_BYTES // _PORTION


class Polled(NamedTuple):
    """What a poll took: records, and messages that only carry an error or event."""

    records: list[Record]
    errors: list[KafkaMessage]


def poll_batch(consumer: Consumer, size: int, timeout: float, watch: ErrorWatch) -> Polled:
    """Return up to ``size`` records, waiting up to ``timeout`` seconds for the first.

    Of a partition with a batch that cannot be read, nothing is taken that comes behind the error.

    Raises:
        KafkaRefused: the broker refuses us for good.
    """
    # consume(n, t) waits for n messages or all of t; so wait for one, then take what is there.
    first = consumer.poll(timeout)
    watch.raise_if_hopeless()
    polled = Polled([], [])
    portion = [] if first is None else [first]
    room = BATCH_BYTES
    while portion:
        taken = _add(portion, polled)
        size, room = size - len(portion), room - taken
        if size <= 0 or room <= 0:
            break
        # One by one behind a large one: a portion of those would be too much for the memory.
        portion = consumer.consume(min(size, 1 if taken > _LARGE else _PORTION), 0)
    return polled


def _add(messages: list[KafkaMessage], polled: Polled) -> int:
    """Add messages to what was polled, and return their bytes."""
    size = 0
    for message in messages:
        if any(_is_behind(message, error) for error in polled.errors):
            continue
        if message.error() is None:
            record = Record.from_kafka(message)
            size += record.size
            polled.records.append(record)
        else:
            polled.errors.append(message)
    return size


def _is_behind(message: KafkaMessage, error: KafkaMessage) -> bool:
    """Tell whether a message came behind a batch of the same partition that cannot be read.

    Behind the end of a partition, or an offset that the broker lacks, comes what was asked for
    since: it must not be lost.
    """
    failure = error.error()
    lacking = failure is not None and failure.code() == KafkaError._AUTO_OFFSET_RESET
    return message.partition() == error.partition() and not (lacking or tells_end(error))
