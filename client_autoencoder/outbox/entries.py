"""What an outbox is given, holds and is told, as plain records, and how a letter becomes a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from schemas.messages.answers import Reply
from schemas.messages.dead_letter import Headers
from stream.exchange.outgoing_record import OutgoingRecord

Kind = Literal["acknowledged", "refused", "answered", "expired", "discarded"]

_SECONDS_A_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A letter to be sent; ``number`` grows in the order in which letters were put."""

    number: int
    letter: OutgoingRecord


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a letter ended; ``reason`` says why it was refused, ``reply`` what was answered."""

    message_id: str
    kind: Kind
    reason: str = ""
    reply: Reply | None = None

    @property
    def text(self) -> str:
        """The reason, or the label that was answered."""
        if self.reply is None:
            return self.reason
        return self.reply.label or f"no answer: {self.reply.error}"


@dataclass(frozen=True, slots=True)
class Settled:
    """A letter that left the outbox; ``name`` says of which image it was."""

    number: int
    name: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Noted:
    """What one step changed: letters delivered for the first time, and letters that left."""

    delivered: int
    settled: list[Settled]


@dataclass(slots=True)
class Counts:
    """What is in an outbox now.

    Attributes:
        queued: letters that no broker has taken yet.
        delivered: letters that a broker has taken and the server has not answered.
        size: bytes of both.
    """

    queued: int = 0
    delivered: int = 0
    size: int = 0

    @property
    def waiting(self) -> int:
        """All letters without an answer."""
        return self.queued + self.delivered


@dataclass(frozen=True, slots=True)
class Limits:
    """When an outbox refuses further letters, and when a letter is sent again.

    Attributes:
        size: bytes of all letters in it.
        age: seconds that the oldest may wait.
        resend: seconds without an answer after which a delivered letter is due again; each
            further time it is twice as long, so that a slow server is not drowned in copies.
    """

    size: int = 2**30
    age: float = 7 * _SECONDS_A_DAY
    resend: float = 30.0

    def find_excess(self, counts: Counts, size: int, age: float) -> str | None:
        """Say why ``size`` further bytes are refused where the oldest letter is of this age."""
        if counts.size + size > self.size:
            return (
                f"{counts.waiting:,} messages of {counts.size:,} bytes wait, {self.size:,} bytes "
                "are permitted. Let `ioa client outbox drain` send them, or raise "
                "client.outbox_mib"
            )
        if age > self.age:
            return (
                f"a message has waited for an answer for {age / _SECONDS_A_DAY:.1f} days, "
                f"{self.age / _SECONDS_A_DAY:g} are permitted. See `ioa client outbox list`, then "
                "`ioa client outbox drain`; if the server will never answer, `ioa client outbox "
                "export` and `discard`"
            )
        return None


def to_body(number: int, letter: OutgoingRecord) -> tuple[object, ...]:
    """Return the row of table ``body``."""
    return (number, letter.topic, letter.key, pack_headers(letter.headers), letter.value)


def to_waiting(row: Sequence[Any]) -> Waiting:
    """Make a letter of message id and deadline, then the row of table ``body``."""
    message_id, deadline, number, topic, key, headers, value = row
    letter = OutgoingRecord(message_id, topic, key, unpack_headers(headers), value, deadline)
    return Waiting(number, letter)


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
