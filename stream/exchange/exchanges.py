"""The table of exchanges: what a client sends, what it is answered, and what holds for both.

A row is all that the platform knows of an exchange. Topics, outgoing records, headers, outbox,
replay and dead letters read it. A new exchange is a new row; its handler is the server's own.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any, Generic, Literal, Protocol, TypeVar

from schemas.errors import SchemaError, shorten
from schemas.messages import headers
from schemas.messages.answers import Acknowledgement, Refusal, Reply
from schemas.messages.latent import LatentMessage
from stream.exchange.forms import decode_answer, decode_latent, encode

MESSAGE_LIMIT = 2**20
"""Largest request or reply record in bytes, batch overhead included."""
UNCOMPRESSED_LIMIT = 2 * MESSAGE_LIMIT
"""Largest record that is read, in bytes, however well it was compressed.

No producer with its usual settings sends one above half of that: Java's, librdkafka and ours
measure before they compress. Numbers as text that take more do not fit into ``MESSAGE_LIMIT``
compressed.
"""

Ending = Literal["acknowledged", "refused", "answered"]
Kept = Literal["until answered", "until deadline"]
Told = Literal["sender", "nobody"]


class Request(Protocol):
    """What every request has; ``kind`` is the name of its exchange."""

    client_id: str
    message_id: str | None

    @property
    def kind(self) -> str: ...


class AnswerMessage(Protocol):
    """What every answer has; ``in_reply_to`` is the ``message_id`` of the request."""

    client_id: str
    in_reply_to: str | None
    message_id: str | None


RequestT = TypeVar("RequestT", bound=Request)


@dataclass(frozen=True, eq=False)
class AnswerKind:
    """A kind of answer.

    Attributes:
        name: in the header ``ioa-kind``.
        type: of the message in Python, unlike that of any other kind.
        ending: how a client counts the request that it ends.
        encode: writes a message in the form of a content type.
        decode: reads a body, with the content type that its header states, where there is one.
        describe: says in a few words what was answered, for a client's journal.
    """

    name: str
    type: type[Any]
    ending: Ending
    encode: Callable[[Any, str], bytes]
    decode: Callable[[bytes, str | None], Any]
    describe: Callable[[Any], str] = lambda _: ""


@dataclass(frozen=True, eq=False)
class Exchange(Generic[RequestT]):
    """One kind of exchange between clients and server.

    Attributes:
        name: in the header ``ioa-kind`` of a request, and the last word of its topic.
        request: the type of a request in Python.
        encode: writes a request in the form of a content type.
        decode: reads a request, with the content type that its header states.
        answers: those that end a request, the refusal apart. Without any, a request that is kept
            until its deadline ends there.
        refusal: the answer to a request that cannot be used, where there is one.
        told: who is told of a refusal, where it is certain who has sent the request.
        kept: how long a client's outbox keeps a request. What is kept until it is answered
            outlives a power cut, too.
        outbox: the end of the name of that outbox, after the client's id.
        retention_hours: of the topic; None is for ever.
        limit: largest record on the wire in bytes, compressed: the topic's ``max.message.bytes``.
        uncompressed_limit: largest record that a server reads, in bytes of key, body and headers.
        key: of the record, as the table of topics prints it; ``read_key`` returns it.
    """

    name: str
    request: type[RequestT]
    encode: Callable[[RequestT, str], bytes]
    decode: Callable[[bytes, str | None], RequestT]
    kept: Kept
    outbox: str
    retention_hours: int | None
    answers: tuple[AnswerKind, ...] = ()
    refusal: AnswerKind | None = None
    told: Told = "sender"
    partitions: int = 4
    limit: int = MESSAGE_LIMIT
    uncompressed_limit: int = UNCOMPRESSED_LIMIT
    key: str = "messageID"
    read_key: Callable[[RequestT], str] = attrgetter("message_id")

    @property
    def endings(self) -> tuple[AnswerKind, ...]:
        """All answers that end a request."""
        return self.answers if self.refusal is None else (*self.answers, self.refusal)


def _describe_reply(reply: Reply) -> str:
    return reply.label or f"no answer: {reply.error}"


def _describe_refusal(refusal: Refusal) -> str:
    return f"{refusal.field}: {refusal.error}" if refusal.field else str(refusal.error)


REPLY = AnswerKind(
    "reply", Reply, "answered", encode, partial(decode_answer, Reply), _describe_reply
)
ACKNOWLEDGEMENT = AnswerKind(
    "acknowledgement",
    Acknowledgement,
    "acknowledged",
    encode,
    partial(decode_answer, Acknowledgement),
)
REFUSAL = AnswerKind(
    "refusal", Refusal, "refused", encode, partial(decode_answer, Refusal), _describe_refusal
)

LEARNING = Exchange(
    "learning",
    LatentMessage,
    encode,
    decode_latent,
    answers=(ACKNOWLEDGEMENT,),
    refusal=REFUSAL,
    kept="until answered",
    outbox="",
    retention_hours=None,
)
# Our server says in a reply why there is no label; another may refuse a question.
SERVICE = Exchange(
    "service",
    LatentMessage,
    encode,
    decode_latent,
    answers=(REPLY,),
    refusal=REFUSAL,
    kept="until deadline",
    outbox=".questions",
    retention_hours=6,
)
EXCHANGES: tuple[Exchange[Any], ...] = (LEARNING, SERVICE)


def find_exchange(name: str, exchanges: Sequence[Exchange[Any]] = EXCHANGES) -> Exchange[Any]:
    """Return the exchange of a name.

    Raises:
        SchemaError: there is none.
    """
    for exchange in exchanges:
        if exchange.name == name:
            return exchange
    known = ", ".join(exchange.name for exchange in exchanges)
    raise SchemaError(f"{shorten(name)} is none of {known}", headers.KIND)


def name_answers(exchanges: Iterable[Exchange[Any]]) -> dict[str, AnswerKind]:
    """Return every kind of answer by its name."""
    return {kind.name: kind for exchange in exchanges for kind in exchange.endings}


def type_answers(exchanges: Iterable[Exchange[Any]]) -> dict[type[Any], AnswerKind]:
    """Return every kind of answer by the type of its messages."""
    return {kind.type: kind for exchange in exchanges for kind in exchange.endings}
