"""Offsets and times of a person on a real topic."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from stream.errors import StreamError, TopicMissing
from stream.exchange.exchanges import LEARNING
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from stream.replay.kafka_source import KafkaSource
from stream.replay.window import Window, parse_bound
from tests.support.topics import read_all, send_raw

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("500", 500),
        ("2026-11-21", datetime(2026, 11, 21, tzinfo=UTC)),
        ("2026-11-21T08:00", datetime(2026, 11, 21, 8, tzinfo=UTC)),
        ("2026-11-21T08:00+02:00", datetime(2026, 11, 21, 6, tzinfo=UTC)),
    ],
)
def test_a_number_is_an_offset_and_all_else_a_time(text: str, meant: object) -> None:
    assert parse_bound(text, NOW) == meant


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2026-11-21T12:01", "lies in the future"),
        ("yesterday", "neither an offset such as 500 nor a time"),
        ("-5", "neither an offset"),
    ],
)
def test_what_is_neither_is_refused(text: str, reason: str) -> None:
    with pytest.raises(StreamError, match=reason):
        Window.parse(text, None, NOW)


@pytest.fixture
def settings(kafka: str, topic_prefix: str) -> KafkaSettings:
    """A topic of 4 partitions, with ten records in the first and as many a moment later."""
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    create_topics(settings, [Topics(topic_prefix).of(LEARNING)])
    for _ in range(2):
        send_raw(kafka, Topics(topic_prefix).of(LEARNING).name, [(b"x", [])] * 10)
        time.sleep(0.05)
    return settings


def open_window(settings: KafkaSettings, window: Window) -> tuple[int, int]:
    """Return where the first partition is read; the others hold nothing."""
    source = KafkaSource(settings, Topics(settings.prefix).of(LEARNING).name, window)
    first, *others = source.ranges
    assert all(other.low == other.high for other in others)
    read = [record.offset for batch in source.read(source.ranges) for record in batch]
    assert read == [*range(first.low, first.high)]
    return first.low, first.high


def test_a_window_by_offsets_and_by_times(settings: KafkaSettings) -> None:
    topic = Topics(settings.prefix).of(LEARNING).name
    records = read_all(settings.bootstrap_servers, topic)
    second = datetime.fromtimestamp(records[10].timestamp()[1] / 1000, UTC)
    assert open_window(settings, Window()) == (0, 20)
    assert open_window(settings, Window(5, 12)) == (5, 12)
    assert open_window(settings, Window(18, 99)) == (18, 20)
    assert open_window(settings, Window(second)) == (10, 20)
    assert open_window(settings, Window(None, second)) == (0, 10)
    for empty in (Window(12, 5), Window(20), Window(second + timedelta(seconds=9))):
        with pytest.raises(StreamError, match=r"holds nothing from .*it holds \[0\] offsets 0 to"):
            open_window(settings, empty)


def test_what_retention_has_deleted_is_refused_and_what_remains_is_said(
    settings: KafkaSettings,
) -> None:
    topic = Topics(settings.prefix).of(LEARNING).name
    admin = AdminClient(settings.client_config())
    for future in admin.delete_records([TopicPartition(topic, 0, 7)]).values():
        future.result()
    for since in (3, datetime(2026, 1, 1, tzinfo=UTC)):
        with pytest.raises(StreamError, match=r"it holds \[0\] offsets 7 to 19"):
            open_window(settings, Window(since))
    assert open_window(settings, Window(7)) == (7, 20)
    assert open_window(settings, Window()) == (7, 20)


def test_a_missing_topic_is_said(kafka: str, topic_prefix: str) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    with pytest.raises(TopicMissing, match="ioa topic create"):
        KafkaSource(settings, Topics(topic_prefix).of(LEARNING).name, Window())
