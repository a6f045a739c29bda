"""What Kafka holds of a topic: the topic's id, and the offset range of each partition."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, NamedTuple

from confluent_kafka import IsolationLevel, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec, TopicDescription

from stream.kafka.connection import explaining_kafka

_REQUEST_SECONDS = 10.0
_CHECK_SECONDS = 5.0
_NO_TOPIC_ID = "A" * 22  # of a broker before Kafka 2.8


class OffsetRange(NamedTuple):
    """Offsets of a partition from ``low`` up to, but not with, ``high``.

    ``log_id`` is Kafka's id of the topic (KIP-516). A topic that was deleted and made again has
    another one. On brokers without such ids it is the cluster's.
    """

    topic: str
    partition: int
    log_id: str
    low: int
    high: int


@explaining_kafka()
def read_ranges(
    admin: AdminClient, topic: str, partitions: Iterable[int] | None = None
) -> list[OffsetRange]:
    """Return what these partitions hold, or all of them, by number.

    Raises:
        KafkaUnavailable: the cluster does not answer, or there is no such topic.
    """
    described = _describe(admin, topic)
    numbers = range(len(described.partitions)) if partitions is None else sorted(partitions)
    lows = list_offsets(admin, topic, numbers, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
    highs = list_offsets(admin, topic, numbers, OffsetSpec.latest())  # type: ignore[no-untyped-call]
    log_id = _read_log_id(admin, described)
    return [OffsetRange(topic, number, log_id, lows[number], highs[number]) for number in numbers]


@explaining_kafka()
def read_log_id(admin: AdminClient, topic: str) -> str:
    """Return the ``log_id`` of a topic's ranges.

    Raises:
        KafkaUnavailable: the cluster does not answer, or there is no such topic.
    """
    return _read_log_id(admin, _describe(admin, topic))


def _describe(admin: AdminClient, topic: str) -> TopicDescription:
    names = TopicCollection([topic])
    futures = admin.describe_topics(names, request_timeout=_REQUEST_SECONDS)
    described: TopicDescription = futures[topic].result()
    return described


def _read_log_id(admin: AdminClient, described: TopicDescription) -> str:
    if (log_id := str(described.topic_id)) != _NO_TOPIC_ID:
        return log_id
    return str(admin.list_topics(timeout=_REQUEST_SECONDS).cluster_id)


def list_offsets(
    admin: AdminClient, topic: str, partitions: Iterable[int], spec: OffsetSpec
) -> dict[int, int]:
    """Return an offset of each partition, by number; -1 where nothing is as late as ``spec`` says.

    The latest is the end of what can be read now. A reader that is to stop there would otherwise
    wait for somebody's open transaction.

    Raises:
        KafkaException: the cluster does not answer.
    """
    futures = admin.list_offsets(
        {TopicPartition(topic, number): spec for number in partitions},
        isolation_level=IsolationLevel.READ_COMMITTED,
        request_timeout=_REQUEST_SECONDS,
    )
    return {partition.partition: future.result().offset for partition, future in futures.items()}


class TopicWatch:
    """Notices that a topic was deleted and made again, without ever waiting for an answer.

    librdkafka would read on at the old offset in the new topic, and skip what lies before it.
    """

    def __init__(
        self, admin: AdminClient, offset_range: OffsetRange, clock: Callable[[], float]
    ) -> None:
        self._admin = admin
        self._topic = offset_range.topic
        self._log_id = offset_range.log_id
        self._clock = clock
        self._asked_at = clock()
        self._answer: Future[Any] | None = None

    def was_recreated(self) -> bool:
        """Tell whether the topic's id has changed, as far as is known; cheap enough for a loop."""
        if self._answer is None:
            if self._clock() - self._asked_at > _CHECK_SECONDS:
                self._asked_at = self._clock()
                names = TopicCollection([self._topic])
                self._answer = self._admin.describe_topics(names)[self._topic]
            return False
        if not self._answer.done():
            return False
        answer, self._answer = self._answer, None
        if answer.exception() is not None:
            return False  # away, or no such topic: whoever reads notices that
        return str(answer.result().topic_id) not in (self._log_id, _NO_TOPIC_ID)
