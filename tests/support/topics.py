"""Topics of a deployment, written and read without the product's producers and consumers."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from tests.support.waiting import LONG, wait_until

Headers = Sequence[tuple[str, bytes | None]]


def make_topics(bootstrap: str, prefix: str) -> KafkaSettings:
    """Create the topics of a new deployment."""
    settings = KafkaSettings(bootstrap_servers=bootstrap, prefix=prefix)
    create_topics(settings, Topics(prefix).shared())
    return settings


def delete_topics(settings: KafkaSettings, names: Sequence[str]) -> None:
    """Delete topics and wait for it."""
    admin = AdminClient(settings.client_config())  # kept: without it its futures never end
    for future in admin.delete_topics(list(names)).values():
        future.result()


def send_raw(
    bootstrap: str,
    topic: str,
    values: Sequence[tuple[bytes | None, Headers]],
    *,
    partition: int = 0,
    largest: int = 2**20,
    compression: str = "none",
) -> list[int]:
    """Produce values in order to one partition and return their offsets."""
    limit = {"message.max.bytes": largest, "compression.type": compression}
    producer = Producer({"bootstrap.servers": bootstrap} | limit)
    offsets: list[int] = []
    failures: list[str] = []

    def note(error: object, message: KafkaMessage) -> None:
        if error is not None:
            failures.append(str(error))
        offsets.append(message.offset() or 0)

    for value, headers in values:
        producer.produce(topic, value, partition=partition, headers=[*headers], on_delivery=note)
    producer.flush(LONG)
    assert not failures, failures
    return offsets


@contextmanager
def read_new(bootstrap: str, topic: str) -> Iterator[Callable[..., list[Any]]]:
    """Yield a function that waits for ``count`` records written to partition 0 from now on."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "test",
            "enable.auto.commit": False,
            "fetch.message.max.bytes": 80 * 2**20,
        }
    )
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
    consumer.assign([TopicPartition(topic, 0, end)])

    def wait_for(count: int, seconds: float = LONG) -> list[KafkaMessage]:
        messages: list[KafkaMessage] = []
        deadline = time.monotonic() + seconds
        while len(messages) < count and time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                messages.append(message)
        return messages

    try:
        yield wait_for
    finally:
        consumer.close()


def read_all(bootstrap: str, topic: str) -> list[KafkaMessage]:
    """Return all records that a topic holds now."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "test", "enable.auto.commit": False}
    )
    ends: dict[int, int] = {}
    for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
        if high > low:
            ends[partition] = high
    consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
    messages: list[KafkaMessage] = []
    while ends:
        for message in consumer.consume(10_000, 0.1):
            if message.error() is None:
                messages.append(message)
                if (message.offset() or 0) + 1 == ends.get(message.partition() or 0):
                    del ends[message.partition() or 0]
    consumer.close()
    return messages


def delete_records(bootstrap: str, topic: str, count: int) -> None:
    """Wait until partition 0 holds ``count`` records and delete them, as retention does."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test"})
    partition = TopicPartition(topic, 0)
    wait_until(
        lambda: consumer.get_watermark_offsets(partition, timeout=10)[1] >= count,
        f"{topic} holds fewer than {count} records",
    )
    for future in admin.delete_records([TopicPartition(topic, 0, -1)]).values():
        future.result()
    consumer.close()


def change_config(bootstrap: str, topic: str, name: str, value: str) -> None:
    """Change a setting of a topic."""
    change = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[change])
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result()
