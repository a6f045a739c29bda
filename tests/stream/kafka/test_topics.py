"""The topics table against a real cluster."""

import pytest

from stream.errors import KafkaUnavailable
from stream.exchange.exchanges import LEARNING
from stream.exchange.topics import Topics
from stream.kafka.connection import connect_admin
from stream.kafka.drift import find_drift
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics, list_topic_names
from tests.support.commands import run
from tests.support.topics import change_config, delete_topics


def test_topics_are_created_once_and_are_as_the_table_says(kafka: str, topic_prefix: str) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    topics = Topics(topic_prefix)
    wanted = [*topics.shared(), topics.replies("radiology-1")]
    assert find_drift(settings, wanted)[0] == (
        f"{topic_prefix}.learning is missing; `ioa topic create` makes it"
    )
    assert sorted(create_topics(settings, wanted)) == sorted(topic.name for topic in wanted)
    assert create_topics(settings, wanted) == []
    assert find_drift(settings, wanted) == []
    assert list_topic_names(settings) == sorted(topic.name for topic in wanted)
    delete_topics(settings, list_topic_names(settings))


def test_drift_names_topic_setting_and_both_values(kafka: str, topic_prefix: str) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    learning = Topics(topic_prefix).of(LEARNING)
    create_topics(settings, [learning])
    change_config(kafka, learning.name, "retention.ms", "5")
    assert find_drift(settings, [learning]) == [f"{learning.name} has retention.ms=5, not -1"]


def test_copies_are_as_the_settings_say_and_too_few_are_drift(
    kafka: str, topic_prefix: str
) -> None:
    settings = KafkaSettings(
        bootstrap_servers=kafka, prefix=topic_prefix, replication_factor=1, min_insync_replicas=1
    )
    learning = Topics(topic_prefix).of(LEARNING)
    create_topics(settings, [learning])
    assert find_drift(settings, [learning]) == []
    wanted = settings.model_copy(update={"replication_factor": 3, "min_insync_replicas": 2})
    assert find_drift(wanted, [learning]) == [
        f"{learning.name} has 1 replicas, not 3",
        f"{learning.name} has min.insync.replicas=1, not 2",
    ]


def test_partitions_are_as_the_settings_say_and_fewer_are_drift(
    kafka: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("-b", kafka, "--prefix", topic_prefix)
    monkeypatch.setenv("IOA_KAFKA__PARTITIONS", "6")
    assert run("topic", "create", *options).returncode == 0
    assert run("topic", "check", *options).returncode == 0
    monkeypatch.setenv("IOA_KAFKA__PARTITIONS", "7")
    assert run("topic", "check", *options).stdout.splitlines() == [
        f"{topic_prefix}.learning has 6 partitions, not 7",
        f"{topic_prefix}.service has 6 partitions, not 7",
    ]
    assert f"{topic_prefix}.encoders " in run("topic", "list", *options[2:]).stdout


def test_dead_letters_hold_more_than_any_other_topic() -> None:
    topics = Topics("ioa")
    others = [topic for topic in topics.shared() if topic != topics.dead_letters]
    assert topics.dead_letters.limit > max(topic.limit for topic in others) + 2**19


def test_a_closed_port_is_an_error_in_words_within_seconds() -> None:
    with pytest.raises(
        KafkaUnavailable, match=r"no Kafka broker answers at 127\.0\.0\.1:1 .*broker"
    ):
        connect_admin(KafkaSettings(bootstrap_servers="127.0.0.1:1"), timeout=1.0)
