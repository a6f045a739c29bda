"""A topic and its Kafka settings; making topics on a cluster, on purpose only."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from stream.errors import StreamError, TopicMissing
from stream.kafka.connection import connect_admin, explaining_kafka
from stream.kafka.settings import KafkaSettings

_LEADER_SECONDS = 15.0


@dataclass(frozen=True)
class Topic:
    """One topic: who writes it, what its key is, and its Kafka settings.

    Attributes:
        was_read: a database has positions in it. Where such a topic is missing, its records are
            lost; an empty one in its place would hide that, so only an operator makes it again.
    """

    name: str
    key: str
    written_by: str
    kept: str
    partitions: int
    config: dict[str, str]
    was_read: bool = False

    @property
    def limit(self) -> int:
        """Largest record in bytes."""
        return int(self.config["max.message.bytes"])

    def configure(self, settings: KafkaSettings) -> dict[str, str]:
        """Return the table's settings of this topic and the operator's for every topic."""
        if settings.min_insync_replicas is None:
            return self.config
        return self.config | {"min.insync.replicas": str(settings.min_insync_replicas)}

    def describe_absence(self) -> str:
        """Say that it is missing, and which command makes it."""
        if not self.was_read:
            return f"{self.name} is missing; `ioa topic create` makes it"
        return (
            f"{self.name} is missing, though it was read into the database: is this the right "
            "cluster? Where it was deleted, find out why; what was stored stays stored. `ioa "
            f"database position reset --topic {self.name} --to earliest` makes it again, empty, "
            f"with {self.partitions} partitions"
        )


@explaining_kafka()
def create_topics(
    settings: KafkaSettings, topics: Iterable[Topic], admin: AdminClient | None = None
) -> list[str]:
    """Create those topics that are missing and wait for their leaders; return their names.

    Args:
        admin: a connected client, where the caller has one.

    Raises:
        TopicMissing: one that was read before is missing; all others were created.
        StreamError: the cluster is away or refuses a topic, named.
    """
    admin = admin or connect_admin(settings)
    present = admin.list_topics(timeout=10).topics
    missing = [topic for topic in topics if topic.name not in present]
    created = _create(settings, [topic for topic in missing if not topic.was_read], admin)
    if lost := [topic.describe_absence() for topic in missing if topic.was_read]:
        raise TopicMissing("; ".join(lost))
    return created


def _create(settings: KafkaSettings, topics: list[Topic], admin: AdminClient) -> list[str]:
    if not topics:
        return []
    missing = {topic.name: topic for topic in topics}
    futures = admin.create_topics(
        [
            NewTopic(
                topic.name,
                topic.partitions,
                settings.replication_factor,
                config=topic.configure(settings),
            )
            for topic in missing.values()
        ]
    )
    created = []
    for name, future in futures.items():
        try:
            future.result()
            created.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise StreamError(f"cannot create {name}: {error.args[0].str()}") from error
    if created:
        _wait_for_leaders(admin, [missing[name] for name in created])
    return created


@explaining_kafka()
def list_topic_names(settings: KafkaSettings) -> list[str]:
    """Return the names of this deployment's topics that exist, reply topics included."""
    names = connect_admin(settings).list_topics(timeout=10).topics
    return sorted(name for name in names if name.startswith(f"{settings.prefix}."))


@explaining_kafka()
def count_partitions(admin: AdminClient) -> dict[str, int]:
    """Return how many partitions each topic of the cluster has, by its name."""
    topics = admin.list_topics(timeout=10).topics
    return {name: len(topic.partitions) for name, topic in topics.items()}


def _wait_for_leaders(admin: AdminClient, topics: list[Topic]) -> None:
    """Wait until the leader of every partition answers.

    Metadata names a leader a moment before it takes requests. So each is asked for its end offset.
    """
    partitions = {
        TopicPartition(topic.name, number): OffsetSpec.latest()  # type: ignore[no-untyped-call]
        for topic in topics
        for number in range(topic.partitions)
    }
    deadline = time.monotonic() + _LEADER_SECONDS
    while True:
        try:
            for future in admin.list_offsets(partitions).values():
                future.result()
            return
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise StreamError(
                    f"the leaders of {', '.join(topic.name for topic in topics)} do not answer "
                    f"({error.args[0].str()}); look at the broker's log"
                ) from error
            time.sleep(0.02)
            # The client caches that there were no such topics; this makes it ask again.
            admin.list_topics(timeout=_LEADER_SECONDS)
