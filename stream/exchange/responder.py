"""The server's side of request and reply: answers in the form of the message that they answer."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from confluent_kafka import KafkaError
from confluent_kafka import Message as KafkaMessage

from schemas.errors import SchemaError
from schemas.messages import headers
from schemas.messages.answers import Acknowledgement
from schemas.messages.dead_letter import Headers
from schemas.messages.latent import LatentMessage
from schemas.wire import avro_form, json_form
from stream.errors import DeliveryFailed
from stream.exchange.codec import Received, strip_to_paper
from stream.exchange.exchanges import ACKNOWLEDGEMENT, AnswerMessage, type_answers
from stream.exchange.message_ids import make_message_id
from stream.exchange.topics import Topics
from stream.kafka.producer import Publisher, make_headers, measure_record, refuse_too_large
from stream.kafka.record import Record
from stream.kafka.topics import Topic
from stream.repeated_log import RepeatedLog

# One client cannot be answered; that is no reason to let the others wait.
_UNREACHABLE = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
)
_LONGEST_CORRELATION_ID = 128


@dataclass(slots=True)
class _QueuedAnswer:
    """An answer that is ready to be sent, or a template of one.

    ``request`` is set where it becomes a dead letter if its sender cannot be told.
    """

    topic: Topic
    key: bytes
    value: bytes
    headers: Headers
    request: Record | None = None


class Responder:
    """Sends answers and dead letters, and waits until they are delivered.

    Args:
        publisher: used by this responder and ``dead_letter`` alone.
        topics: the deployment's topics.
        dead_letter: queues a dead letter on ``publisher``; ``flush`` sends it, too.
        clock: seconds since the Unix epoch.
        random: returns that many random bytes, for message ids.
    """

    def __init__(
        self,
        publisher: Publisher,
        topics: Topics,
        *,
        dead_letter: Callable[[Record, SchemaError], None],
        clock: Callable[[], float],
        random: Callable[[int], bytes],
    ) -> None:
        self.dead_letter = dead_letter
        self._publisher = publisher
        self._topics = topics
        self._kinds = type_answers(topics.exchanges)
        self._clock = clock
        self._random = random
        self._queued: list[_QueuedAnswer] = []
        # Random, so that no label can look like a placeholder.
        self._id_placeholder, self._reply_to_placeholder = self._make_id(), self._make_id()
        self._failed: list[str] = []
        self._unanswerable: list[tuple[Record, SchemaError]] = []
        self._unreachable = RepeatedLog("a client cannot be answered")

    def answer(self, record: Record, answer: AnswerMessage, *, paper_only: bool = False) -> None:
        """Queue an answer to ``record`` on the reply topic of the client that it names.

        The topic follows from the client's id and from nothing that the record asks for. So no
        client can make the server write elsewhere.
        """
        content_type, kind = _choose_form(record), self._kinds[type(answer)]
        answer.message_id = self._make_id()
        queued = _QueuedAnswer(
            self._topics.replies(answer.client_id),
            key=(answer.in_reply_to or "").encode(),
            value=kind.encode(strip_to_paper(answer) if paper_only else answer, content_type),
            headers=make_headers(
                KIND=kind.name,
                CLIENT=answer.client_id,
                CONTENT_TYPE=content_type,
                MESSAGE_ID=answer.message_id,
                CORRELATION_ID=_read_correlation_id(record) or answer.in_reply_to,
            ),
            # What was stored has had its effect; of a question the answer is all there is.
            request=record if kind.ending == "answered" else None,
        )
        refuse_too_large(queued.topic, measure_record(queued.key, queued.value, queued.headers))
        self._queued.append(queued)

    def acknowledge(self, messages: Iterable[Received[LatentMessage]], now: datetime) -> None:
        """Queue an acknowledgement of each message; as ``answer``, at a third of the cost.

        Those of one client and label differ only in their ids. So one of them is encoded, and the
        others are copies: a batch has thousands.
        """
        templates: dict[tuple[str, str, str, bool], _QueuedAnswer] = {}
        for received in messages:
            message, record = received.message, received.record
            form = _choose_form(record)
            kind = (message.client_id, message.label, form, received.paper_only)
            template = templates.get(kind)
            if template is None:
                template = templates[kind] = self._make_template(*kind, now)
            self._queued.append(self._fill(template, record, message.message_id or ""))

    def _make_template(
        self, client_id: str, label: str, form: str, paper_only: bool, now: datetime
    ) -> _QueuedAnswer:
        """Return an acknowledgement with placeholders for its two ids."""
        ids = (self._reply_to_placeholder, self._id_placeholder)
        example = Acknowledgement(client_id, label, now, *ids)
        return _QueuedAnswer(
            self._topics.replies(client_id),
            b"",
            ACKNOWLEDGEMENT.encode(strip_to_paper(example) if paper_only else example, form),
            make_headers(KIND=ACKNOWLEDGEMENT.name, CLIENT=client_id, CONTENT_TYPE=form),
        )

    def _fill(self, template: _QueuedAnswer, record: Record, in_reply_to: str) -> _QueuedAnswer:
        reply_to, own_id = in_reply_to.encode(), self._make_id().encode()
        value = template.value.replace(self._reply_to_placeholder.encode(), reply_to)
        correlation = _read_correlation_id(record)
        return _QueuedAnswer(
            template.topic,
            key=reply_to,
            value=value.replace(self._id_placeholder.encode(), own_id),
            headers=[
                *template.headers,
                (headers.MESSAGE_ID, own_id),
                (headers.CORRELATION_ID, reply_to if correlation is None else correlation.encode()),
            ],
        )

    def flush(self) -> None:
        """Send everything queued and wait until it is delivered.

        A request whose answer is all there is becomes a dead letter where its client has no reply
        topic.

        Raises:
            DeliveryFailed: the broker did not take something; all of it may be sent again.
        """
        # In one go: records sent one by one would each wake up librdkafka's thread.
        queued, self._queued = self._queued, []
        self._failed, self._unanswerable = [], []  # a failed flush leaves some; all is sent again
        for answer in queued:
            self._publisher.produce(
                answer.topic.name,
                answer.value,
                key=answer.key,
                headers=answer.headers,
                on_delivered=partial(self._note_delivery, answer),
            )
        self._publisher.flush()
        self._unreachable.report()
        for record, error in self._unanswerable:
            self.dead_letter(record, error)
        if self._unanswerable:
            self._publisher.flush()
        if self._failed:
            raise DeliveryFailed("; ".join(dict.fromkeys(self._failed)))

    def _make_id(self) -> str:
        return make_message_id(int(self._clock() * 1000), self._random(10))

    def _note_delivery(
        self, answer: _QueuedAnswer, error: KafkaError | None, _: KafkaMessage | None
    ) -> None:
        if error is None:
            return
        topic = answer.topic.name
        if error.code() not in _UNREACHABLE:
            self._failed.append(f"{topic}: {error.str()}")
            return
        reason = f"{topic} cannot be written ({error.str()}); register the client again"
        self._unreachable.note(topic, topic=topic, error=error.str())
        if answer.request is not None:
            self._unanswerable.append((answer.request, SchemaError(reason, "clientID")))


def _choose_form(record: Record) -> str:
    """Return the content type of the answer: that of the record."""
    avro = record.content_type == avro_form.CONTENT_TYPE
    return avro_form.CONTENT_TYPE if avro else json_form.CONTENT_TYPE


def _read_correlation_id(record: Record) -> str | None:
    """Return the sender's correlation id, unless it is so long that it would fill the answer."""
    text = record.header(headers.CORRELATION_ID)
    return text if text is not None and len(text) <= _LONGEST_CORRELATION_ID else None
