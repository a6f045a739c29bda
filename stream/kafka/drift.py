"""Drift: how the topics of a cluster differ from what they should be."""

from collections.abc import Iterable

from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType, TopicMetadata

from stream.kafka.connection import connect_admin, explaining_kafka
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import Topic


@explaining_kafka()
def find_drift(settings: KafkaSettings, topics: Iterable[Topic]) -> list[str]:
    """Say in words how the cluster's topics differ from these.

    Raises:
        KafkaUnavailable: the cluster is away, or does not show its settings.
    """
    admin = connect_admin(settings)
    present = admin.list_topics(timeout=10).topics
    drift, existing = [], []
    for topic in topics:
        if topic.name not in present:
            drift.append(topic.describe_absence())
            continue
        existing.append(topic)
        drift += _compare_partitions(topic, present[topic.name], settings.replication_factor)
    return drift + _compare_settings(settings, existing, admin)


def _compare_partitions(topic: Topic, found: TopicMetadata, replication_factor: int) -> list[str]:
    drift, partitions = [], found.partitions.values()
    if len(partitions) < topic.partitions:
        drift.append(f"{topic.name} has {len(partitions)} partitions, not {topic.partitions}")
    copies = min((len(partition.replicas) for partition in partitions), default=0)
    if copies < replication_factor:
        drift.append(f"{topic.name} has {copies} replicas, not {replication_factor}")
    return drift


def _compare_settings(
    settings: KafkaSettings, topics: list[Topic], admin: AdminClient
) -> list[str]:
    stated = {topic.name: topic.configure(settings) for topic in topics}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in stated]
    described = admin.describe_configs(resources) if resources else {}
    return [
        f"{resource.name} has {key}={actual[key].value}, not {value}"
        for resource, future in described.items()
        for actual in [future.result()]
        for key, value in stated[resource.name].items()
        if actual[key].value != value
    ]
