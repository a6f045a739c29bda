"""The client's side of request and reply: send messages, match what comes back.

Answers arrive on the client's own reply topic; ``inReplyTo`` is the id of the message they answer.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.errors import SchemaError
from schemas.messages import Answer, LatentMessage
from stream.codec import decode_answer, encode
from stream.connection import (
    ErrorWatch,
    backoff,
    connect_admin,
    explaining_kafka,
    raise_if_lasting,
)
from stream.errors import DeliveryFailed, TopicMissing
from stream.producer import Publisher, make_headers
from stream.record import Record
from stream.settings import KafkaSettings
from stream.topics import Topics

_START_SECONDS = 30.0

Clock = Callable[[], float]


@dataclass(slots=True)
class Answered:
    """An answer and the seconds that passed since its message was sent."""

    answer: Answer
    seconds: float


@dataclass
class Exchange:
    """One client's conversation with the server.

    ``open`` holds the ids of the messages without an answer and when they were sent. Answers to
    anything else, such as second answers after a crash, and records that are no answers are passed
    over.

    Raises:
        KafkaUnavailable: no broker answers.
        TopicMissing: the operator has not registered this client.
    """

    settings: KafkaSettings
    client_id: str
    clock: Clock
    open: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._topics = Topics(self.settings.prefix)
        self._watch = ErrorWatch(self.settings.bootstrap_servers)
        self._undelivered: list[str] = []
        # Reading starts where the topic ends now, and before anything is sent: a consumer that
        # resolves "latest" later would miss the first answers.
        self._consumer = self._open_consumer()
        self._publisher = Publisher(self.settings)

    def __enter__(self) -> "Exchange":
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def send(
        self,
        message: LatentMessage,
        content_type: str,
        *,
        deadline: float | None = None,
    ) -> int:
        """Queue a message that has a ``message_id``; return its size in bytes.

        Args:
            deadline: seconds since the Unix epoch after which no answer is wanted.

        Raises:
            SchemaError: the message breaks the contract.
            RecordTooLarge: it exceeds the topic's limit.
        """
        if message.message_id is None:
            raise SchemaError("is missing", "messageID")
        value = encode(message, content_type)
        learning = message.mode == "learning"
        topic = self._topics.learning if learning else self._topics.service
        headers = make_headers(
            KIND=message.mode,
            CLIENT=self.client_id,
            MESSAGE_ID=message.message_id,
            CORRELATION_ID=message.message_id,
            DEADLINE=None if deadline is None else str(int(deadline * 1000)),
            CONTENT_TYPE=content_type,
        )
        self.open[message.message_id] = self.clock()
        self._publisher.publish(
            topic,
            value,
            key=message.message_id.encode(),
            headers=headers,
            on_delivered=self._note_delivery,
        )
        return len(value)

    def receive(self, timeout: float) -> list[Answered]:
        """Return the answers at hand, waiting up to ``timeout`` seconds for the first.

        Raises:
            DeliveryFailed: the broker did not take one of our messages.
            KafkaRefused: the broker refuses us for good.
        """
        first = self._consumer.poll(timeout)
        self._publisher.poll()
        self._watch.raise_if_hopeless()
        if self._undelivered:
            raise DeliveryFailed("; ".join(dict.fromkeys(self._undelivered)))
        if first is None:
            return []
        answered = []
        for message in [first, *self._consumer.consume(1000, 0)]:
            if (error := message.error()) is not None:
                raise_if_lasting(error, self._topics.replies(self.client_id).name)
            elif (match := self._match(Record.from_kafka(message))) is not None:
                answered.append(match)
        return answered

    def _match(self, record: Record) -> Answered | None:
        try:
            answer = decode_answer(record)
        except SchemaError:
            return None
        sent = self.open.pop(answer.in_reply_to or "", None)
        return None if sent is None else Answered(answer, self.clock() - sent)

    def _note_delivery(self, error: KafkaError | None) -> None:
        if error is not None:
            self._undelivered.append(error.str())

    @explaining_kafka()
    def _open_consumer(self) -> Consumer:
        replies = self._topics.replies(self.client_id).name
        present = connect_admin(self.settings).list_topics(timeout=10).topics
        if replies not in present:
            raise TopicMissing(
                f"there is no topic {replies}: client {self.client_id!r} is not registered. Ask "
                f"the operator to run `ioa server client add {self.client_id} --site SITE`"
            )
        config: dict[str, Any] = {
            "group.id": f"{self.client_id}.replies",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 2,
            "auto.offset.reset": "error",
            "error_cb": self._watch,
        }
        consumer = Consumer({**config, **self.settings.client_config()})
        consumer.assign([TopicPartition(replies, 0, self._find_end(consumer, replies))])
        return consumer

    def _find_end(self, consumer: Consumer, topic: str) -> int:
        """Return the offset after the newest reply; a busy broker may not tell at once."""
        give_up = self.clock() + _START_SECONDS
        delays = backoff()
        while True:
            try:
                return int(consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[1])
            except KafkaException as error:
                raise_if_lasting(error.args[0], topic)
                if self.clock() >= give_up:
                    raise
            time.sleep(next(delays))
