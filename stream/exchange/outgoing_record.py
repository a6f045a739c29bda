"""A message ready to be sent: its bytes and headers, the same however often it is sent."""

from dataclasses import dataclass, field

from schemas.errors import SchemaError
from schemas.messages.dead_letter import Headers
from stream.exchange.exchanges import Request, find_exchange
from stream.exchange.topics import Topics
from stream.kafka.producer import make_headers, measure_record, refuse_too_large


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    """One record for one topic.

    Attributes:
        kind: the name of its exchange.
        deadline: seconds since the Unix epoch after which no answer is wanted; also in the headers.
        size: in bytes, about the same in a file, in memory and on the wire.
    """

    message_id: str
    kind: str
    topic: str
    key: bytes
    headers: Headers
    value: bytes
    deadline: float | None = None
    size: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", measure_record(self.key, self.value, self.headers))


def make_record(
    message: Request, content_type: str, topics: Topics, *, deadline: float | None = None
) -> OutgoingRecord:
    """Return a message that has a ``message_id`` as a record for the topic of its exchange.

    Raises:
        SchemaError: the message breaks the contract, or its exchange is not among the topics.
        RecordTooLarge: it exceeds the topic's limit.
    """
    if message.message_id is None:
        raise SchemaError("is missing", "messageID")
    exchange = find_exchange(message.kind, topics.exchanges)
    topic = topics.of(exchange)
    key, value = exchange.read_key(message).encode(), exchange.encode(message, content_type)
    headers = make_headers(
        KIND=exchange.name,
        CLIENT=message.client_id,
        MESSAGE_ID=message.message_id,
        CORRELATION_ID=message.message_id,
        DEADLINE=None if deadline is None else str(int(deadline * 1000)),
        CONTENT_TYPE=content_type,
    )
    record = OutgoingRecord(
        message.message_id, exchange.name, topic.name, key, headers, value, deadline
    )
    refuse_too_large(topic, record.size)
    return record
