"""Reading the answers on a client's own reply topic."""

import logging
import time
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas.errors import SchemaError
from stream.errors import TopicMissing
from stream.exchange.codec import decode_answer
from stream.exchange.exchanges import AnswerMessage, name_answers
from stream.exchange.topics import Topics
from stream.kafka.connection import (
    ErrorWatch,
    backoff,
    explain_absence,
    explaining_kafka,
    raise_if_lasting,
)
from stream.kafka.offsets import OffsetRange
from stream.kafka.polling import FETCHING, poll_batch
from stream.kafka.settings import KafkaSettings
from stream.kafka.unreadable import Obstacle, find_obstacle, find_unreadable, is_stray

logger = logging.getLogger(__name__)

_BATCH_SIZE = 1000
_REQUEST_SECONDS = 10.0
_BUSY_SECONDS = 30.0


class ReplyReader:
    """The answers to one client; making one needs no broker, ``open`` does."""

    def __init__(self, settings: KafkaSettings, client_id: str, topics: Topics) -> None:
        self._settings = settings
        self._client_id = client_id
        self._topic = topics.replies(client_id).name
        self._kinds = name_answers(topics.exchanges)
        self._where = settings.bootstrap_servers
        self._watch = ErrorWatch(settings.bootstrap_servers)
        config: dict[str, Any] = {
            "group.id": f"{client_id}.replies",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "error_cb": self._watch,
        }
        self._start = 0
        self._consumer = Consumer({**FETCHING, **config, **settings.consumer_config()})

    def open(self, timeout: float, *, since: float | None = None) -> str | None:
        """Find the topic, start to read it, and return the cluster's id where it has one.

        It may be called again after KafkaUnavailable. Without ``since`` reading starts at the
        topic's present end. So call it before anything is sent: a consumer that resolves "latest"
        later would miss the first answers.

        Args:
            timeout: seconds to wait for a broker.
            since: seconds since the Unix epoch; also reads what was written from then on.

        Raises:
            KafkaUnavailable: no broker answers in time.
            KafkaRefused: the broker refuses us.
            TopicMissing: the operator has not registered this client.
        """
        try:
            cluster = self._consumer.list_topics(timeout=timeout)
        except KafkaException as error:
            self._consumer.poll(0)  # calls the watch
            raise explain_absence(self._where, self._watch, error) from error
        if self._topic not in cluster.topics:
            raise TopicMissing(
                f"there is no topic {self._topic}: client {self._client_id!r} is not registered. "
                f"Ask the operator to run `ioa client add {self._client_id} --site SITE`"
            )
        with explaining_kafka():
            self._read_from(self._find_start(since))
        cluster_id: str | None = cluster.cluster_id
        return cluster_id

    def read(self, timeout: float) -> list[AnswerMessage]:
        """Return the answers at hand, waiting up to ``timeout`` seconds for the first.

        Records that are no answers are passed over, and batches that cannot be read, each with a
        warning in the log: what they answered is asked again, or waited for in vain.

        Raises:
            KafkaRefused: the broker refuses us for good.
            StreamError: the topic cannot be read any more.
        """
        answers = []
        records, errors = poll_batch(self._consumer, _BATCH_SIZE, timeout, self._watch)
        for message in errors:
            if not is_stray(message, self._find_position()):
                self._pass(find_obstacle(message))
        for record in records:
            try:
                answers.append(decode_answer(record, self._kinds))
            except SchemaError as unreadable:
                field = unreadable.field or "body"
                logger.warning("%s is no answer: %s at fault", record.place, field)
        return answers

    def close(self) -> None:
        """Leave the topic."""
        self._consumer.close()

    def _read_from(self, offset: int) -> None:
        self._start = offset
        self._consumer.assign([TopicPartition(self._topic, 0, offset)])

    def _find_position(self) -> int:
        """Return the offset that is read next."""
        (position,) = self._consumer.position([TopicPartition(self._topic, 0)])
        return max(self._start, position.offset)

    def _pass(self, obstacle: Obstacle | None) -> None:
        if obstacle is None:
            return
        partition = TopicPartition(self._topic, 0)
        held = OffsetRange(self._topic, 0, "", 0, self._find_end(partition))
        unread, reason = find_unreadable(self._settings, held, obstacle.offset)
        logger.warning(
            "%s[0] offsets %d to %d cannot be read and are passed over: %s",
            *(self._topic, unread.low, unread.high - 1, reason),
        )
        self._read_from(unread.high)

    def _find_start(self, since: float | None) -> int:
        partition = TopicPartition(self._topic, 0)
        end = self._find_end(partition)
        if since is None:
            return end
        partition.offset = max(int(since * 1000), 0)
        (start,) = self._consumer.offsets_for_times([partition], timeout=_REQUEST_SECONDS)
        return start.offset if start.offset >= 0 else end

    def _find_end(self, partition: TopicPartition) -> int:
        """Return the offset after the newest reply; a busy broker is asked again."""
        deadline = time.monotonic() + _BUSY_SECONDS
        delays = backoff()
        while True:
            try:
                marks = self._consumer.get_watermark_offsets(partition, timeout=_REQUEST_SECONDS)
                return int(marks[1])
            except KafkaException as error:
                raise_if_lasting(error.args[0], self._topic)
                if time.monotonic() >= deadline:
                    raise
            time.sleep(next(delays))
