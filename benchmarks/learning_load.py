"""Fills a topic with learning messages as our clients write them."""

import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from confluent_kafka import Producer

from schemas.messages.latent import Aggregate, LatentMessage, Privacy
from schemas.models.network_manifest import NetworkManifest
from schemas.vector import Vector
from schemas.wire import avro_form, json_form
from stream.exchange.exchanges import LEARNING
from stream.exchange.message_ids import make_message_id
from stream.exchange.outgoing_record import OutgoingRecord, make_record
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from tests.support.manifests import make_manifest

CLIENT = "radiology-1"
ASKER = "radiology-2"
_LABELS = [str(digit) for digit in range(10)]


@dataclass(frozen=True)
class Shape:
    """The kind of latent and form that a message has.

    Attributes:
        latent: [D], or maps [C, H, W].
        form: content type.
    """

    name: str
    latent: tuple[int, ...]
    dtype: type[np.generic]
    form: str

    @property
    def latent_dim(self) -> int:
        """How many numbers a latent has."""
        return math.prod(self.latent)

    @property
    def manifest(self) -> NetworkManifest:
        """The manifest of an edge, never trained, that makes such latents."""
        edge = make_manifest(self.latent_dim)
        return replace(edge, output=replace(edge.output, shape=self.latent))

    def scale(self, messages: int) -> int:
        """Return how many messages of this shape take about as long as ``messages`` in Avro."""
        return messages * 2 // 5 if self.form == json_form.CONTENT_TYPE else messages


SHAPES = {
    "int8x64": Shape("int8x64", (64,), np.int8, avro_form.CONTENT_TYPE),
    "float32x784": Shape("float32x784", (784,), np.float32, avro_form.CONTENT_TYPE),
    "json784": Shape("json784", (784,), np.float32, json_form.CONTENT_TYPE),
    "int8x16x7x7": Shape("int8x16x7x7", (16, 7, 7), np.int8, avro_form.CONTENT_TYPE),
}


@dataclass(frozen=True)
class Load:
    """The messages in the topic.

    Attributes:
        messages: their number, with those that were sent twice.
        distinct: the number of different messages.
        last_ids: the last new message of each partition; once these are stored, all are.
    """

    messages: int
    distinct: int
    last_ids: list[str]

    @property
    def last_rows(self) -> str:
        """The query that counts the rows of the last messages."""
        ids = ", ".join(f"'{message_id}'" for message_id in self.last_ids)
        return f"SELECT count(*) FROM latent WHERE message_id IN ({ids})"


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
    """Write ``count`` different messages, and the share ``repeated`` of them again later.

    Args:
        producer: with an open transaction, if the messages must not be visible yet.
    """
    topics = Topics(kafka.prefix)
    producer = producer or make_producer(kafka)
    rng = random.Random(seed)  # noqa: S311 - the same order every time
    records = list(make_records(topics, shape, encoder_id, count, seed))
    # As after a lost acknowledgement: the same bytes again, some time after the first.
    late = [(rng.uniform(i, count), i) for i in range(count) if rng.random() < repeated]
    order = [i for _, i in sorted([*((float(i), i) for i in range(count)), *late])]
    partitions = topics.of(LEARNING).partitions
    for i in order:
        record, partition = records[i], i % partitions
        while True:
            try:
                producer.produce(
                    record.topic,
                    record.value,
                    record.key,
                    partition,
                    headers=list(record.headers),
                )
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0, "the broker did not take everything"
    return Load(len(order), count, [record.message_id for record in records[-partitions:]])


def make_producer(kafka: KafkaSettings, **config: str) -> Producer:
    """Return a producer of large batches, compressed as those of clients."""
    ours = {"linger.ms": 20, "acks": "all", "compression.type": "lz4"}
    return Producer(kafka.client_config() | ours | config)


def make_records(
    topics: Topics,
    shape: Shape,
    encoder_id: str,
    count: int,
    seed: int,
    *,
    client_id: str = CLIENT,
) -> Iterator[OutgoingRecord]:
    """Yield learning messages of one client, as our clients write them."""
    rng = np.random.default_rng(seed)
    start = int(time.time() * 1000)
    for number in range(count):
        if shape.dtype is np.int8:
            value = rng.integers(-128, 128, shape.latent, np.int8)
        else:
            value = rng.standard_normal(shape.latent).astype(np.float32)
        message = LatentMessage(
            client_id,
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
