"""Records to messages: the envelope in the headers, and the body as its exchange reads it."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Generic

from schemas.errors import SchemaError, explain_failure, shorten
from schemas.messages import headers
from schemas.messages.answers import Answer, Refusal, Reply
from schemas.messages.dead_letter import LOST_HEADERS
from schemas.messages.validation import check_name
from stream.exchange.exchanges import (
    EXCHANGES,
    LEARNING,
    UNCOMPRESSED_LIMIT,
    AnswerKind,
    AnswerMessage,
    Exchange,
    Request,
    RequestT,
    name_answers,
)
from stream.exchange.message_ids import derive_message_id
from stream.kafka.record import Record

ANSWER_KINDS = name_answers(EXCHANGES)
_DEADLINE_DIGITS = 15
_OFFSET_DIGITS = 19


@dataclass(slots=True)
class Received(Generic[RequestT]):
    """A valid message, its record, and whether its sender knows only the paper's form.

    ``message.message_id`` is always set.
    """

    record: Record
    message: RequestT
    paper_only: bool

    @property
    def sender(self) -> dict[str, object]:
        """What the message says of its sender, as ``SchemaError.stated``."""
        return {"clientID": self.message.client_id, "messageID": self.message.message_id}


@dataclass(slots=True)
class Sender:
    """The sender of a refused record; ``client_id`` is None where it is not certain."""

    client_id: str | None
    message_id: str
    paper_only: bool


def decode_request(
    record: Record, exchange: Exchange[RequestT], *, cluster_id: str
) -> Received[RequestT]:
    """Read a client's message from the topic of ``exchange``.

    Raises:
        SchemaError: names the field or header at fault. Nothing else is raised, whatever the bytes.
    """
    try:
        _check_record(record, exchange)
        message = exchange.decode(record.value or b"", record.content_type)
    except Exception as error:
        raise explain_failure(error) from error
    received = Received(record, message, paper_only=message.message_id is None)
    try:
        _check_envelope(record, message, exchange)
    except SchemaError as error:
        raise explain_failure(error, received.sender) from error
    if received.paper_only:
        message.message_id = _position_id(record, cluster_id)
    return received


def _check_record(record: Record, exchange: Exchange[RequestT]) -> None:
    if record.headers_damaged:
        raise SchemaError(f"{LOST_HEADERS}, so that none of its headers can be read")
    _check_size(record, exchange.uncompressed_limit)


def _check_size(record: Record, limit: int) -> None:
    if record.size <= limit:
        return
    body = len(record.value or b"")
    size = f"{body:,} bytes" if body > limit else f"{record.size:,} bytes with key and headers"
    raise SchemaError(f"has {size} uncompressed, {limit:,} are permitted")


def read_deadline(record: Record) -> float | None:
    """Return until when an answer is wanted, in seconds since the Unix epoch; None for ever.

    Raises:
        SchemaError: the header is not such a time.
    """
    text = record.header(headers.DEADLINE)
    if text is None:
        return None
    if not text.isdigit() or len(text) > _DEADLINE_DIGITS:
        raise SchemaError(
            f"{shorten(text)} is not milliseconds since the Unix epoch", headers.DEADLINE
        )
    return int(text) / 1000


def decode_answer(record: Record, kinds: Mapping[str, AnswerKind] = ANSWER_KINDS) -> AnswerMessage:
    """Read what the server sent to a reply topic.

    Args:
        kinds: of answers, by their names.

    Raises:
        SchemaError: the kind is unknown, or the body damaged or too large. Nothing else is raised.
    """
    _check_size(record, UNCOMPRESSED_LIMIT)
    kind = kinds.get(record.header(headers.KIND) or "")
    if kind is None:
        raise SchemaError(f"is none of {', '.join(kinds)}", headers.KIND)
    try:
        answer: AnswerMessage = kind.decode(record.value or b"", record.content_type)
    except Exception as error:
        raise explain_failure(error) from error
    return answer


def identify_sender(record: Record, cluster_id: str) -> Sender:
    """Find who sent a record that was refused elsewhere; see ``find_sender``."""
    try:
        received = decode_request(record, LEARNING, cluster_id=cluster_id)
    except SchemaError as error:  # it was refused already, and may be a question
        return find_sender(record, error.stated, cluster_id)
    return find_sender(record, received.sender, cluster_id)


def find_sender(record: Record, stated: Mapping[str, object], cluster_id: str) -> Sender:
    """Find who sent a refused record, from its headers and what its body has ``stated``.

    Where the two name different clients the sender is not certain: otherwise a client could make
    the server write to another one. What is in a body that cannot be read is not certain either.
    """
    client_id = _agree("clientID", record.header(headers.CLIENT), stated.get("clientID"))
    message_id = _agree("messageID", record.header(headers.MESSAGE_ID), stated.get("messageID"))
    return Sender(client_id, message_id or _position_id(record, cluster_id), message_id is None)


def strip_to_paper(answer: AnswerMessage) -> AnswerMessage:
    """Return the paper's three fields, ``inReplyTo`` and, where there is one, the error.

    An answer that the paper does not know stays as it is.
    """
    if not isinstance(answer, Answer):
        return answer
    plain = type(answer)(answer.client_id, answer.label, answer.timestamp, answer.in_reply_to)
    if isinstance(plain, Reply | Refusal) and isinstance(answer, Reply | Refusal):
        return replace(plain, error=answer.error)
    return plain


def find_first_offset(record: Record) -> int:
    """Return the offset of a record before an operator sent it again; otherwise its own.

    So it keeps its id, and is stored once though a replay reads it at both offsets. Only an offset
    before its own counts, and the id also depends on the bytes: nobody can take another message's.
    """
    stated = record.header(headers.FIRST_OFFSET)
    if stated is None or not stated.isdigit() or len(stated) > _OFFSET_DIGITS:
        return record.offset
    return min(int(stated), record.offset)


def _position_id(record: Record, cluster_id: str) -> str:
    first = find_first_offset(record)
    return derive_message_id(cluster_id, record.topic, record.partition, first, record.value or b"")


def _check_envelope(record: Record, message: Request, exchange: Exchange[RequestT]) -> None:
    if message.kind != exchange.name:
        raise SchemaError(f"{message.kind!r} does not belong on {record.topic}", "mode")
    for name, stated in (
        (headers.KIND, message.kind),
        (headers.CLIENT, message.client_id),
        (headers.MESSAGE_ID, message.message_id),
    ):
        header = record.header(name)
        if header is not None and header != stated:
            raise SchemaError(f"says {shorten(header)}, the message {shorten(stated)}", name)


def _agree(field: str, *stated: object) -> str | None:
    """Return the one valid value among those stated; None where there is none or two differ."""
    valid = set()
    for value in stated:
        if isinstance(value, str):
            with suppress(SchemaError):
                check_name(field, value)
                valid.add(value)
    return valid.pop() if len(valid) == 1 else None
