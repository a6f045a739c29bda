"""The server's side of request and reply: answers in the form in which they were asked."""

from collections.abc import Callable

import structlog
from confluent_kafka import KafkaError

from schemas import avro_form, headers, json_form
from schemas.errors import SchemaError
from schemas.messages import Answer, Reply
from stream.codec import KIND_NAMES, encode, strip_to_paper
from stream.errors import DeliveryFailed
from stream.identity import make_message_id
from stream.producer import Publisher, make_headers
from stream.record import Record
from stream.topics import Topics

# One client cannot be answered; that is no reason to let the others wait.
_UNREACHABLE = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
)
_LONGEST_CORRELATION_ID = 128


class Responder:
    """Sends answers and dead letters, and knows when they arrived.

    Args:
        publisher: used by this responder alone.
        topics: the deployment's topics.
        clock: seconds since the Unix epoch.
        random: returns that many random bytes, for message ids.
        on_bury: called for each dead letter.
    """

    def __init__(
        self,
        publisher: Publisher,
        topics: Topics,
        *,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
        on_bury: Callable[[], None] = lambda: None,
    ) -> None:
        self._publisher = publisher
        self._topics = topics
        self._clock = clock
        self._random = random
        self._on_bury = on_bury
        self._lost: list[str] = []
        self._unanswerable: list[tuple[Record, SchemaError]] = []
        self._log = structlog.get_logger()

    def bury(self, record: Record, error: SchemaError) -> None:
        """Queue a dead letter; the log names its origin and field only.

        The reason quotes what was sent, which may be a patient's data and belongs into no log.
        """
        self._log.warning(
            "dead letter",
            origin=f"{record.topic}[{record.partition}]@{record.offset}",
            field=error.field,
        )
        self._on_bury()
        letter = record.to_dead_letter(error)
        self._publisher.publish(
            self._topics.dead_letters, letter.value, key=letter.key, headers=letter.to_headers()
        )

    def answer(self, record: Record, answer: Answer, *, paper_only: bool = False) -> None:
        """Queue an answer to ``record`` on the reply topic of the client that it names.

        The topic follows from the client's id and from nothing that the record asks for, so that
        no client can make the server write elsewhere.
        """
        asked_in = record.header(headers.CONTENT_TYPE)
        avro = asked_in == avro_form.CONTENT_TYPE
        content_type = avro_form.CONTENT_TYPE if avro else json_form.CONTENT_TYPE
        answer.message_id = make_message_id(int(self._clock() * 1000), self._random(10))
        topic = self._topics.replies(answer.client_id)
        self._publisher.publish(
            topic,
            encode(strip_to_paper(answer) if paper_only else answer, content_type),
            key=(answer.in_reply_to or "").encode(),
            headers=make_headers(
                KIND=KIND_NAMES[type(answer)],
                CLIENT=answer.client_id,
                MESSAGE_ID=answer.message_id,
                CORRELATION_ID=_read_correlation_id(record) or answer.in_reply_to,
                CONTENT_TYPE=content_type,
            ),
            on_delivered=lambda error: self._note(topic.name, record, answer, error),
        )

    def flush(self) -> None:
        """Wait until everything queued is delivered.

        A question whose client has no reply topic becomes a dead letter.

        Raises:
            DeliveryFailed: the broker did not take something; all of it may be sent again.
        """
        self._publisher.flush()
        unanswerable, self._unanswerable = self._unanswerable, []
        for record, error in unanswerable:
            self.bury(record, error)
        if unanswerable:
            self._publisher.flush()
        lost, self._lost = self._lost, []
        if lost:
            raise DeliveryFailed("; ".join(dict.fromkeys(lost)))

    def _note(self, topic: str, record: Record, answer: Answer, error: KafkaError | None) -> None:
        if error is None:
            return
        if error.code() not in _UNREACHABLE:
            self._lost.append(f"{topic}: {error.str()}")
            return
        reason = f"{topic} cannot be written ({error.str()}); register the client again"
        self._log.error("a client cannot be answered", topic=topic, error=error.str())
        if isinstance(answer, Reply):
            self._unanswerable.append((record, SchemaError(reason, "clientID")))


def _read_correlation_id(record: Record) -> str | None:
    """Return what the sender wants repeated, unless it is so long that it would fill the answer."""
    wanted = record.header(headers.CORRELATION_ID)
    return wanted if wanted is not None and len(wanted) <= _LONGEST_CORRELATION_ID else None
