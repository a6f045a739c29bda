"""Publishing to a real broker, and what cannot be published."""

import numpy as np
import pytest

from stream.errors import DeliveryFailed, RecordTooLarge
from stream.exchange.exchanges import LEARNING
from stream.exchange.topics import Topics
from stream.kafka.producer import Publisher, make_headers, measure_record
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from tests.support.topics import read_new


def test_a_record_arrives_with_key_and_headers(kafka: str, topic_prefix: str) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    topic = Topics(topic_prefix).replies("a")
    create_topics(settings, [topic])
    publisher = Publisher(settings)
    with read_new(kafka, topic.name) as records:
        headers = make_headers(KIND="reply", DEADLINE=None)
        publisher.publish(topic, b"value", key=b"key", headers=headers)
        publisher.flush()
        (record,) = records(1)
    assert (record.key(), record.value()) == (b"key", b"value")
    assert record.headers() == [("ioa-kind", b"reply")]


def test_the_largest_permitted_record_is_taken(kafka: str, topic_prefix: str) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    topic = Topics(topic_prefix).of(LEARNING)
    create_topics(settings, [topic])
    headers = make_headers(KIND="learning", CLIENT="radiology-1")
    # Noise, which compression makes no smaller.
    noise = np.random.default_rng(0)
    value = noise.bytes(topic.limit - measure_record(b"key", b"", headers))
    publisher = Publisher(settings)
    publisher.publish(topic, value, key=b"key", headers=headers)
    publisher.flush()
    with pytest.raises(RecordTooLarge, match=f"{topic.name} permits 1,048,576"):
        publisher.publish(topic, value + b"x", key=b"key", headers=headers)


@pytest.mark.parametrize("only_failures", [False, True])
def test_a_missing_topic_fails_the_flush_within_seconds(
    kafka: str, topic_prefix: str, only_failures: bool
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    publisher = Publisher(settings, only_failures=only_failures)
    publisher.publish(Topics(topic_prefix).of(LEARNING), b"value", key=None, headers=[])
    with pytest.raises(DeliveryFailed, match=f"{topic_prefix}.learning: .*[Uu]nknown topic"):
        publisher.flush(30)
    publisher.flush()  # the failure was reported once


def test_a_flush_without_a_broker_ends_at_its_timeout() -> None:
    publisher = Publisher(KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    publisher.publish(Topics("ioa").of(LEARNING), b"value", key=None, headers=[])
    with pytest.raises(DeliveryFailed, match="1 records have no report yet"):
        publisher.flush(1.0)
