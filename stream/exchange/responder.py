"""The server's side of request and reply: answers in the form in which they were asked."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog
from confluent_kafka import KafkaError
from confluent_kafka import Message as KafkaMessage

from schemas.errors import SchemaError
from schemas.messages import headers
from schemas.messages.answers import Acknowledgement, Answer, Reply
from schemas.messages.dead_letter import Headers
from schemas.wire import avro_form, json_form
from stream.errors import DeliveryFailed
from stream.exchange.codec import KIND_NAMES, Received, encode, strip_to_paper
from stream.exchange.message_ids import make_message_id
from stream.kafka.producer import Publisher, make_headers, measure_record, refuse_too_large
from stream.kafka.record import Record
from stream.kafka.topics import Topic, Topics

# One client cannot be answered; that is no reason to let the others wait.
_UNREACHABLE = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
)
_LONGEST_CORRELATION_ID = 128


@dataclass(slots=True)
class _Waiting:
    """An answer that is ready to be sent.

    ``question`` is set where it becomes a dead letter if nobody can be told.
    """

    topic: Topic
    key: bytes
    value: bytes
    headers: Headers
    question: Record | None


@dataclass(slots=True)
class _Stencil:
    """What the acknowledgements of one batch have in common, with the two ids left open."""

    topic: Topic
    value: bytes
    headers: list[tuple[str, bytes | None]]


class Responder:
    """Sends answers and dead letters, and knows when they arrived.

    Args:
        publisher: used by this responder alone.
        topics: the deployment's topics.
        clock: seconds since the Unix epoch.
        random: returns that many random bytes, for message ids.
        on_dead_letter: called for each dead letter.
    """

    def __init__(
        self,
        publisher: Publisher,
        topics: Topics,
        *,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
        on_dead_letter: Callable[[], None] = lambda: None,
    ) -> None:
        self._publisher = publisher
        self._topics = topics
        self._clock = clock
        self._random = random
        self._waiting: list[_Waiting] = []
        # Random, so that no label can look like them.
        self._open_id, self._open_reply = self._make_id(), self._make_id()
        self._on_dead_letter = on_dead_letter
        self._lost: list[str] = []
        self._unanswerable: list[tuple[Record, SchemaError]] = []
        self._log = structlog.get_logger()

    def dead_letter(self, record: Record, error: SchemaError) -> None:
        """Queue a dead letter; the log names its origin and field only.

        The reason quotes what was sent, which may be a patient's data and belongs into no log.
        """
        self._log.warning(
            "dead letter",
            origin=f"{record.topic}[{record.partition}]@{record.offset}",
            field=error.field,
        )
        self._on_dead_letter()
        letter = record.to_dead_letter(error)
        self._publisher.publish(
            self._topics.dead_letters, letter.value, key=letter.key, headers=letter.to_headers()
        )

    def answer(self, record: Record, answer: Answer, *, paper_only: bool = False) -> None:
        """Queue an answer to ``record`` on the reply topic of the client that it names.

        The topic follows from the client's id and from nothing that the record asks for, so that
        no client can make the server write elsewhere.
        """
        content_type = _choose_form(record)
        answer.message_id = self._make_id()
        one = _Waiting(
            self._topics.replies(answer.client_id),
            key=(answer.in_reply_to or "").encode(),
            value=encode(strip_to_paper(answer) if paper_only else answer, content_type),
            headers=make_headers(
                KIND=KIND_NAMES[type(answer)],
                CLIENT=answer.client_id,
                CONTENT_TYPE=content_type,
                MESSAGE_ID=answer.message_id,
                CORRELATION_ID=_read_correlation_id(record) or answer.in_reply_to,
            ),
            question=record if isinstance(answer, Reply) else None,
        )
        refuse_too_large(one.topic, measure_record(one.key, one.value, one.headers))
        self._waiting.append(one)

    def acknowledge(self, messages: Iterable[Received], now: datetime) -> None:
        """Queue an acknowledgement of each message; as ``answer``, at a third of the cost.

        Those of one client and label differ only in their ids, so one is written and the others
        are copies: a batch has thousands.
        """
        stencils: dict[tuple[str, str, str, bool], _Stencil] = {}
        for received in messages:
            message, record = received.message, received.record
            form = _choose_form(record)
            kind = (message.client_id, message.label, form, received.paper_only)
            stencil = stencils.get(kind)
            if stencil is None:
                stencil = stencils[kind] = self._cut_stencil(*kind, now)
            self._waiting.append(self._fill(stencil, record, message.message_id or ""))

    def _cut_stencil(
        self, client_id: str, label: str, form: str, paper_only: bool, now: datetime
    ) -> _Stencil:
        whole = Acknowledgement(client_id, label, now, self._open_reply, self._open_id)
        return _Stencil(
            self._topics.replies(client_id),
            encode(strip_to_paper(whole) if paper_only else whole, form),
            make_headers(KIND=KIND_NAMES[Acknowledgement], CLIENT=client_id, CONTENT_TYPE=form),
        )

    def _fill(self, stencil: _Stencil, record: Record, in_reply_to: str) -> _Waiting:
        reply, own = in_reply_to.encode(), self._make_id().encode()
        value = stencil.value.replace(self._open_reply.encode(), reply)
        wanted = _read_correlation_id(record)
        return _Waiting(
            stencil.topic,
            key=reply,
            value=value.replace(self._open_id.encode(), own),
            headers=[
                *stencil.headers,
                (headers.MESSAGE_ID, own),
                (headers.CORRELATION_ID, reply if wanted is None else wanted.encode()),
            ],
            question=None,
        )

    def flush(self) -> None:
        """Send everything queued and wait until it is delivered.

        A question whose client has no reply topic becomes a dead letter.

        Raises:
            DeliveryFailed: the broker did not take something; all of it may be sent again.
        """
        # In one go: records sent one by one would each wake up librdkafka's thread.
        waiting, self._waiting = self._waiting, []
        self._lost, self._unanswerable = [], []  # of a failed flush, all of which is sent again
        for one in waiting:
            self._publisher.produce(
                one.topic.name,
                one.value,
                key=one.key,
                headers=one.headers,
                on_delivered=partial(self._note, one),
            )
        self._publisher.flush()
        for record, error in self._unanswerable:
            self.dead_letter(record, error)
        if self._unanswerable:
            self._publisher.flush()
        if self._lost:
            raise DeliveryFailed("; ".join(dict.fromkeys(self._lost)))

    def _make_id(self) -> str:
        return make_message_id(int(self._clock() * 1000), self._random(10))

    def _note(self, one: _Waiting, error: KafkaError | None, _: KafkaMessage | None) -> None:
        if error is None:
            return
        topic = one.topic.name
        if error.code() not in _UNREACHABLE:
            self._lost.append(f"{topic}: {error.str()}")
            return
        reason = f"{topic} cannot be written ({error.str()}); register the client again"
        self._log.error("a client cannot be answered", topic=topic, error=error.str())
        if one.question is not None:
            self._unanswerable.append((one.question, SchemaError(reason, "clientID")))


def _choose_form(record: Record) -> str:
    """Return the form in which its sender is answered: that of the record."""
    avro = record.header(headers.CONTENT_TYPE) == avro_form.CONTENT_TYPE
    return avro_form.CONTENT_TYPE if avro else json_form.CONTENT_TYPE


def _read_correlation_id(record: Record) -> str | None:
    """Return what the sender wants repeated, unless it is so long that it would fill the answer."""
    wanted = record.header(headers.CORRELATION_ID)
    return wanted if wanted is not None and len(wanted) <= _LONGEST_CORRELATION_ID else None
