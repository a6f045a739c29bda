"""What an outbox is given, holds and is told, as plain records, and how a letter becomes a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from schemas.dead_letter import Headers
from stream.letter import Letter

Kind = Literal["acknowledged", "refused", "answered", "expired", "discarded"]

LETTER_COLUMNS = "message_id, topic, key, headers, value, deadline"


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
    age: float = 7 * 86400.0
    resend: float = 30.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A letter to be sent; ``number`` grows in the order in which letters were put."""

    number: int
    letter: Letter


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a letter ended; ``reason`` says why it was refused."""

    message_id: str
    kind: Kind
    reason: str = ""


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


def to_row(letter: Letter, name: str, now: float) -> tuple[object, ...]:
    """Return the values of ``LETTER_COLUMNS``, then name, time and size in bytes."""
    headers = pack_headers(letter.headers)
    return (
        *(letter.message_id, letter.topic, letter.key, headers, letter.value, letter.deadline),
        *(name, now, letter.size),
    )


def to_letter(row: Sequence[Any]) -> Letter:
    """Make a letter of the values of ``LETTER_COLUMNS``."""
    message_id, topic, key, headers, value, deadline = row
    return Letter(message_id, topic, key, unpack_headers(headers), value, deadline)


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
