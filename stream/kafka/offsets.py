"""What Kafka holds of a topic: which topic it is, and from where to where its partitions reach."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, NamedTuple

from confluent_kafka import IsolationLevel, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from stream.kafka.connection import explaining_kafka

_SECONDS = 10.0
_LOOK_SECONDS = 5.0
_NO_TOPIC_ID = "A" * 22  # what a broker before Kafka 2.8 says


class OffsetRange(NamedTuple):
    """What is in a partition: offsets from ``low`` up to, but not with, ``high``.

    ``log_id`` is Kafka's id of the topic (KIP-516), another one after the topic was deleted and
    made again; on brokers without such ids it is the cluster's.
    """

    topic: str
    partition: int
    log_id: str
    low: int
    high: int


@explaining_kafka()
def read_ranges(
    admin: AdminClient, topic: str, parts: Iterable[int] | None = None
) -> list[OffsetRange]:
    """Return the ranges of the partitions ``parts``, or of all, by number.

    Raises:
        KafkaUnavailable: the cluster does not answer, or there is no such topic.
    """
    names = TopicCollection([topic])
    described = admin.describe_topics(names, request_timeout=_SECONDS)[topic].result()
    wanted = sorted(parts) if parts is not None else range(len(described.partitions))
    lows = list_offsets(admin, topic, wanted, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
    highs = list_offsets(admin, topic, wanted, OffsetSpec.latest())  # type: ignore[no-untyped-call]
    log_id = str(described.topic_id)
    if log_id == _NO_TOPIC_ID:
        log_id = str(admin.list_topics(topic, timeout=_SECONDS).cluster_id)
    return [OffsetRange(topic, part, log_id, lows[part], highs[part]) for part in wanted]


def list_offsets(
    admin: AdminClient, topic: str, parts: Iterable[int], spec: OffsetSpec
) -> dict[int, int]:
    """Return an offset of each partition, by number; -1 where nothing is as late as ``spec`` says.

    The latest is the end of what can be read now: nobody waits for an open transaction.

    Raises:
        KafkaException: the cluster does not answer.
    """
    futures = admin.list_offsets(
        {TopicPartition(topic, part): spec for part in parts},
        isolation_level=IsolationLevel.READ_COMMITTED,
        request_timeout=_SECONDS,
    )
    return {partition.partition: found.result().offset for partition, found in futures.items()}


class TopicWatch:
    """Notices that a topic was deleted and made again, without ever waiting for an answer.

    A reader would go on at its old position in the new topic and skip what lies before it.
    """

    def __init__(
        self, admin: AdminClient, offset_range: OffsetRange, clock: Callable[[], float]
    ) -> None:
        self._admin = admin
        self._topic = offset_range.topic
        self._log_id = offset_range.log_id
        self._clock = clock
        self._asked_at = clock()
        self._question: Future[Any] | None = None

    def was_recreated(self) -> bool:
        """Tell whether the topic's id has changed, as far as is known; cheap to ask always."""
        if self._question is None:
            if self._clock() - self._asked_at > _LOOK_SECONDS:
                self._asked_at = self._clock()
                names = TopicCollection([self._topic])
                self._question = self._admin.describe_topics(names)[self._topic]
            return False
        if not self._question.done():
            return False
        answered, self._question = self._question, None
        if answered.exception() is not None:
            return False  # away, or no such topic: reading notices that itself
        return str(answered.result().topic_id) not in (self._log_id, _NO_TOPIC_ID)
