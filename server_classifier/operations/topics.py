"""The topics of a deployment: what its database has read of them, and how they differ from that."""

from collections.abc import Iterable
from dataclasses import replace

import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from server_classifier.operations.metrics import show_drift
from server_classifier.store.database import reading
from server_classifier.store.positions import count_partitions
from server_classifier.store.replays import find_replay
from stream.errors import KafkaUnavailable
from stream.exchange.topics import Topics
from stream.kafka.drift import find_drift
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import Topic, create_topics


def mark_read(engine: Engine, topics: Iterable[Topic]) -> list[Topic]:
    """Return topics with what a database, with current tables, has read of them.

    One that was read has at least the partitions that were read. What a replay has read does not
    count, since it may have read another cluster.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    with reading(engine) as connection:
        read = {} if find_replay(connection) else count_partitions(connection)
    return [
        replace(
            topic,
            partitions=max(topic.partitions, read.get(topic.name, 0)),
            was_read=topic.name in read,
        )
        for topic in topics
    ]


def make_again(engine: Engine, kafka: KafkaSettings, name: str) -> None:
    """Create a topic that was read before and is missing; an operator wants it."""
    topics = mark_read(engine, Topics(kafka.prefix, kafka.partitions).shared())
    lost = [topic for topic in topics if topic.name == name and topic.was_read]
    create_topics(kafka, [replace(topic, was_read=False) for topic in lost])


def warn_of_drift(
    kafka: KafkaSettings, topics: Iterable[Topic], registry: CollectorRegistry
) -> None:
    """Log how the cluster's topics differ from these, and show in how many ways."""
    log = structlog.get_logger()
    try:
        drift = find_drift(kafka, topics)
    except KafkaUnavailable as error:
        log.warning("topics cannot be compared with the table", error=str(error))
        return
    show_drift(registry).set(len(drift))
    for difference in drift:
        log.warning("a topic is not as it should be", difference=difference)
