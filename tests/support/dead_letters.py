"""Dead letters made by hand, and the committed records of a topic."""

from collections.abc import Sequence

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.messages.dead_letter import DeadLetter
from stream.exchange.exchanges import LEARNING
from stream.exchange.topics import Topics
from stream.kafka.offsets import OffsetRange, read_ranges
from stream.kafka.range_reader import read_records
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings
from tests.support.waiting import wait_until


def make_dead_letter(settings: KafkaSettings, offset: int = 0, **changes: object) -> DeadLetter:
    """Return a dead letter of the learning topic whose value and key are not UTF-8."""
    fields: dict[str, object] = {
        "reason": "'x' is not a declared label",
        "field": "label",
        "origin_topic": Topics(settings.prefix).of(LEARNING).name,
        "origin_partition": 2,
        "origin_offset": offset,
        "origin_timestamp": 1_750_000_000_000,
        "key": b"\xffkey",
        "value": b"\xff\x00body",
        "headers": [("ioa-client", b"radiology-1"), ("empty", None), ("empty", b"")],
    }
    return DeadLetter(**{**fields, **changes})  # type: ignore[arg-type]


def publish_dead_letters(settings: KafkaSettings, dead_letters: Sequence[DeadLetter]) -> None:
    """Write dead letters as a service does."""
    largest = {"message.max.bytes": 80 * 2**20}
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers, **largest})
    topic = Topics(settings.prefix).dead_letters.name
    for dead_letter in dead_letters:
        headers = dead_letter.to_headers()
        producer.produce(topic, dead_letter.value, dead_letter.key, headers=[*headers])
    assert producer.flush(20) == 0


def read_topic(settings: KafkaSettings, topic: str) -> list[Record]:
    """Return the committed records of a topic that nobody writes to any more.

    Waits for open transactions: Kafka answers that one is committed before it writes the marker.
    """
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers})
    consumer = Consumer({"bootstrap.servers": settings.bootstrap_servers, "group.id": "test"})

    def is_settled(offset_range: OffsetRange) -> bool:
        partition = TopicPartition(topic, offset_range.partition)
        return consumer.get_watermark_offsets(partition, timeout=10)[1] == offset_range.high

    wait_until(
        lambda: all(map(is_settled, read_ranges(admin, topic))), f"{topic} has open transactions"
    )
    consumer.close()
    return list(read_records(settings, read_ranges(admin, topic)))
