"""Reading a client's own reply topic."""

import time
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import ClusterMetadata

from schemas.errors import SchemaError
from schemas.messages.answers import Answer
from stream.errors import TopicMissing
from stream.exchange.codec import decode_answer
from stream.kafka.connection import (
    ErrorWatch,
    backoff,
    explain_absence,
    explaining_kafka,
    raise_if_lasting,
)
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import Topics

_MOST_AT_ONCE = 1000
_LOOK_UP_SECONDS = 10.0
_BUSY_SECONDS = 30.0


class ReplyReader:
    """The answers to one client; making one needs no broker, ``open`` does."""

    def __init__(self, settings: KafkaSettings, client_id: str) -> None:
        self._client_id = client_id
        self._topic = Topics(settings.prefix).replies(client_id).name
        self._where = settings.bootstrap_servers
        self._watch = ErrorWatch(settings.bootstrap_servers)
        config: dict[str, Any] = {
            "group.id": f"{client_id}.replies",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 2,
            "auto.offset.reset": "error",
            "error_cb": self._watch,
        }
        self._consumer = Consumer({**config, **settings.client_config()})

    def open(self, timeout: float, *, since: float | None = None) -> str | None:
        """Find the topic, start to read it, and return the cluster's id where it has one.

        May be tried again after KafkaUnavailable.

        Without ``since`` reading starts where the topic ends now. So it must be opened before
        anything is sent: a consumer that resolves "latest" later would miss the first answers.

        Args:
            timeout: seconds to wait for a broker.
            since: seconds since the Unix epoch; also reads what was written from then on.

        Raises:
            KafkaUnavailable: no broker answers in time.
            KafkaRefused: the broker refuses us.
            TopicMissing: the operator has not registered this client.
        """
        cluster = self._describe_cluster(timeout)
        if self._topic not in cluster.topics:
            raise TopicMissing(
                f"there is no topic {self._topic}: client {self._client_id!r} is not registered. "
                f"Ask the operator to run `ioa server client add {self._client_id} --site SITE`"
            )
        with explaining_kafka():
            start = TopicPartition(self._topic, 0, self._find_start(since))
            self._consumer.assign([start])
        return cluster.cluster_id

    def read(self, timeout: float) -> list[Answer]:
        """Return the answers at hand, waiting up to ``timeout`` seconds for the first.

        Records that are no answers are passed over.

        Raises:
            KafkaRefused: the broker refuses us for good.
            StreamError: the topic cannot be read any more.
        """
        first = self._consumer.poll(timeout)
        self._watch.raise_if_hopeless()
        if first is None:
            return []
        answers = []
        for message in [first, *self._consumer.consume(_MOST_AT_ONCE, 0)]:
            if (error := message.error()) is not None:
                raise_if_lasting(error, self._topic)
            elif (answer := _decode(Record.from_kafka(message))) is not None:
                answers.append(answer)
        return answers

    def close(self) -> None:
        """Leave the topic."""
        self._consumer.close()

    def _describe_cluster(self, timeout: float) -> ClusterMetadata:
        try:
            cluster: ClusterMetadata = self._consumer.list_topics(timeout=timeout)
        except KafkaException as error:
            self._consumer.poll(0)
            raise explain_absence(self._where, self._watch, error) from error
        return cluster

    def _find_start(self, since: float | None) -> int:
        partition = TopicPartition(self._topic, 0)
        end = self._find_end(partition)
        if since is None:
            return end
        partition.offset = max(int(since * 1000), 0)
        (found,) = self._consumer.offsets_for_times([partition], timeout=_LOOK_UP_SECONDS)
        return found.offset if found.offset >= 0 else end

    def _find_end(self, partition: TopicPartition) -> int:
        """Return the offset after the newest reply; a busy broker may not tell at once."""
        give_up = time.monotonic() + _BUSY_SECONDS
        delays = backoff()
        while True:
            try:
                ends = self._consumer.get_watermark_offsets(partition, timeout=_LOOK_UP_SECONDS)
                return int(ends[1])
            except KafkaException as error:
                raise_if_lasting(error.args[0], self._topic)
                if time.monotonic() >= give_up:
                    raise
            time.sleep(next(delays))


def _decode(record: Record) -> Answer | None:
    try:
        return decode_answer(record)
    except SchemaError:
        return None
