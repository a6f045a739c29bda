"""The plain records of an outbox: what it is given, holds and returns.

``Outcome`` and ``Settled`` are words of AMQP 1.0: a settled record has its outcome and is gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from schemas.messages.dead_letter import Headers
from stream.exchange.exchanges import AnswerMessage, Ending
from stream.exchange.outgoing_record import OutgoingRecord

Kind = Ending | Literal["sent", "expired", "discarded"]

_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A record to be sent; ``number`` grows in the order in which records were put."""

    number: int
    record: OutgoingRecord


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a record ended.

    Attributes:
        kind: ``sent`` where a broker took it and nobody waits for the answer.
        reason: in words why it was refused, or what was answered.
        answer: the whole answer, where there is one.
        by: the kind of the answer, as the table of exchanges names it; it ends only records of
            those exchanges that have such an answer. Without it the record is of any exchange.
    """

    message_id: str
    kind: Kind
    reason: str = ""
    answer: AnswerMessage | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """A record that has left the outbox.

    Attributes:
        name: the image that it was made of.
        state: "queued" or "delivered", when it left.
        size: bytes.
    """

    number: int
    name: str
    state: str
    size: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Update:
    """What a step changed: how many records were delivered for the first time, and which left."""

    delivered: int
    settled: list[Settled]


@dataclass(slots=True)
class Counts:
    """What an outbox holds now.

    Attributes:
        queued: records that no broker has taken yet.
        delivered: records that a broker has taken and the server has not answered.
        size: bytes of both.
    """

    queued: int = 0
    delivered: int = 0
    size: int = 0

    @property
    def waiting(self) -> int:
        """All records without an answer."""
        return self.queued + self.delivered


@dataclass(frozen=True, slots=True)
class Limits:
    """When an outbox refuses further records, and when a record is sent again.

    Attributes:
        size: bytes of all records in it.
        age: seconds that the oldest may wait.
        resend: seconds without an answer after which a delivered record is due again. The time
            doubles with each delivery, so that a slow server is not flooded with copies.
    """

    size: int = 2**30
    age: float = 7 * _DAY
    resend: float = 30.0

    def find_excess(self, counts: Counts, size: int, age: float) -> str | None:
        """Say why ``size`` further bytes are refused, where the oldest record is of this age."""
        if counts.size + size > self.size:
            return (
                f"{counts.waiting:,} messages of {counts.size:,} bytes wait, {self.size:,} bytes "
                "are permitted. Let `ioa outbox drain` send them, or raise "
                "client.outbox_mib"
            )
        if age > self.age:
            return (
                f"a message has waited for an answer for {age / _DAY:.1f} days, "
                f"{self.age / _DAY:g} are permitted. See `ioa outbox list`, then "
                "`ioa outbox drain`; if the server will never answer, `ioa outbox "
                "export` and `discard`"
            )
        return None


def to_body(number: int, record: OutgoingRecord) -> tuple[object, ...]:
    """Return the row of table ``body``."""
    return (number, record.topic, record.key, pack_headers(record.headers), record.value)


def to_entry(row: Sequence[Any]) -> Entry:
    """Make an entry of message id, kind and deadline, followed by the row of table ``body``."""
    message_id, kind, deadline, number, topic, key, headers, value = row
    record = OutgoingRecord(message_id, kind, topic, key, unpack_headers(headers), value, deadline)
    return Entry(number, record)


def pack_headers(headers: Headers) -> bytes:
    """Write headers as JSON; Latin-1 keeps any byte of a value."""
    return orjson.dumps(
        [(name, None if value is None else value.decode("latin-1")) for name, value in headers]
    )


def unpack_headers(packed: bytes) -> Headers:
    """Read what ``pack_headers`` wrote."""
    return [
        (name, None if text is None else text.encode("latin-1"))
        for name, text in orjson.loads(packed)
    ]
