"""A topic and its Kafka settings; making topics on a cluster, and comparing them with it."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec, ResourceType

from stream.errors import StreamError
from stream.kafka.connection import connect_admin, explaining_kafka
from stream.kafka.settings import KafkaSettings

_LEADER_SECONDS = 15.0


@dataclass(frozen=True)
class Topic:
    """One topic: who writes it, what its key is, and its Kafka settings."""

    name: str
    key: str
    written_by: str
    kept: str
    partitions: int
    config: dict[str, str]

    @property
    def limit(self) -> int:
        """Largest record in bytes."""
        return int(self.config["max.message.bytes"])


@explaining_kafka()
def create_topics(
    settings: KafkaSettings, topics: Iterable[Topic], admin: AdminClient | None = None
) -> list[str]:
    """Create those topics that are missing and wait for their leaders; return their names.

    Args:
        admin: a connected client, where the caller has one.

    Raises:
        StreamError: the cluster is away or refuses a topic, named.
    """
    admin = admin or connect_admin(settings)
    present = admin.list_topics(timeout=10).topics
    missing = {topic.name: topic for topic in topics if topic.name not in present}
    if not missing:
        return []
    futures = admin.create_topics(
        [
            NewTopic(
                topic.name,
                topic.partitions,
                settings.replication_factor,
                config=_configure(topic, settings),
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
def find_drift(settings: KafkaSettings, topics: Iterable[Topic]) -> list[str]:
    """Say in words how the cluster's topics differ from the table."""
    admin = connect_admin(settings)
    present = admin.list_topics(timeout=10).topics
    drift, existing = [], []
    for topic in topics:
        if topic.name not in present:
            drift.append(f"{topic.name} is missing; `ioa topic create` makes it")
            continue
        existing.append(topic)
        partitions = present[topic.name].partitions
        if len(partitions) < topic.partitions:
            drift.append(f"{topic.name} has {len(partitions)} partitions, not {topic.partitions}")
        copies = min((len(partition.replicas) for partition in partitions.values()), default=0)
        if copies < settings.replication_factor:
            drift.append(f"{topic.name} has {copies} replicas, not {settings.replication_factor}")
    stated = {topic.name: _configure(topic, settings) for topic in existing}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in stated]
    described = admin.describe_configs(resources) if resources else {}
    for resource, future in described.items():
        actual = future.result()
        for key, value in stated[resource.name].items():
            if actual[key].value != value:
                drift.append(f"{resource.name} has {key}={actual[key].value}, not {value}")
    return drift


@explaining_kafka()
def list_topic_names(settings: KafkaSettings) -> list[str]:
    """Return the names of this deployment's topics that exist, reply topics included."""
    names = connect_admin(settings).list_topics(timeout=10).topics
    return sorted(name for name in names if name.startswith(f"{settings.prefix}."))


def _configure(topic: Topic, settings: KafkaSettings) -> dict[str, str]:
    """Return the table's settings of a topic and the operator's for every topic."""
    if settings.min_insync_replicas is None:
        return topic.config
    return topic.config | {"min.insync.replicas": str(settings.min_insync_replicas)}


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
