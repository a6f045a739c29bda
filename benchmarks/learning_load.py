"""A topic full of learning messages, as our own clients write them."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from confluent_kafka import Producer

from schemas.messages.latent import Aggregate, LatentMessage, Privacy
from schemas.vector import Vector
from schemas.wire import avro_form, json_form
from stream.exchange.message_ids import make_message_id
from stream.exchange.outgoing_record import OutgoingRecord, make_record
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import Topics

CLIENT = "radiology-1"
ASKER = "radiology-2"
_LABELS = [str(digit) for digit in range(10)]


@dataclass(frozen=True)
class Shape:
    """What one message holds.

    Attributes:
        form: content type.
    """

    name: str
    latent_dim: int
    dtype: type[np.generic]
    form: str

    def scale(self, messages: int) -> int:
        """Return how many of these take about as long as so many in Avro."""
        return messages * 2 // 5 if self.form == json_form.CONTENT_TYPE else messages


SHAPES = {
    "int8x64": Shape("int8x64", 64, np.int8, avro_form.CONTENT_TYPE),
    "float32x784": Shape("float32x784", 784, np.float32, avro_form.CONTENT_TYPE),
    "json784": Shape("json784", 784, np.float32, json_form.CONTENT_TYPE),
}


@dataclass(frozen=True)
class Load:
    """What lies in the topic.

    Attributes:
        messages: all of them, those included that were sent twice.
        distinct: how many different ones.
        last_ids: the last new message of each partition; once they are stored, all are.
    """

    messages: int
    distinct: int
    last_ids: list[str]


def fill_topic(
    kafka: KafkaSettings,
    shape: Shape,
    encoder_id: str,
    *,
    count: int,
    repeated: float,
    seed: int = 0,
    producer: Producer | None = None,
) -> Load:
    """Write ``count`` different messages, and a share of ``repeated`` of them once more, later.

    Args:
        producer: one with an open transaction, where they are not to be seen yet.
    """
    topics = Topics(kafka.prefix)
    producer = producer or make_producer(kafka)
    rng = random.Random(seed)  # noqa: S311 - the same order every time
    letters = list(_make_letters(topics, shape, encoder_id, count, seed))
    # As after a lost acknowledgement: the same bytes again, some time after the first.
    late = [(rng.uniform(at, count), at) for at in range(count) if rng.random() < repeated]
    order = [at for _, at in sorted([*((float(at), at) for at in range(count)), *late])]
    partitions = topics.learning.partitions
    for at in order:
        letter, partition = letters[at], at % partitions
        while True:
            try:
                producer.produce(
                    letter.topic,
                    letter.value,
                    letter.key,
                    partition,
                    headers=list(letter.headers),
                )
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0, "the broker did not take everything"
    return Load(len(order), count, [one.message_id for one in letters[-partitions:]])


def make_producer(kafka: KafkaSettings, **config: str) -> Producer:
    """Return a producer that sends large batches, compressed as those of clients are."""
    ours = {"linger.ms": 20, "acks": "all", "compression.type": "lz4"}
    return Producer(kafka.client_config() | ours | config)


def _make_letters(
    topics: Topics, shape: Shape, encoder_id: str, count: int, seed: int
) -> Iterator[OutgoingRecord]:
    rng = np.random.default_rng(seed)
    start = int(time.time() * 1000)
    for number in range(count):
        if shape.dtype is np.int8:
            value = rng.integers(-128, 128, shape.latent_dim, np.int8)
        else:
            value = rng.standard_normal(shape.latent_dim).astype(np.float32)
        message = LatentMessage(
            CLIENT,
            _LABELS[number % len(_LABELS)],
            Vector.from_numpy(value),
            "learning",
            datetime.now(UTC).replace(microsecond=0),
            make_message_id(start, rng.bytes(10)),
            encoder_id,
            aggregate=Aggregate(),
            privacy=Privacy("none", parameters={}),
        )
        yield make_record(message, shape.form, topics)
