"""A record that could not be used, with the reason.

On the dead-letter topic a record keeps its key, value and headers. Further headers give the reason
and the origin. People and tools read the JSON form. The topic also holds notes, which say of dead
letters that they were sent again.

Of a record that is too large to be copied a stub stays: the reason, the origin, and the size and
sum of the body. Two more headers tell it apart.

Headers are lost where the name of one is not UTF-8, since Kafka's Python client neither reads nor
writes such a name. The reason tells that.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import ClassVar, NamedTuple

import orjson

from schemas.errors import SchemaError
from schemas.messages import headers as names
from schemas.messages.fields import Field, FieldTable
from schemas.messages.validation import cut_text

Headers = Sequence[tuple[str, bytes | None]]

LOST_HEADERS = "the name of a header is not UTF-8"
"""How the reason of a record begins whose headers could not be read."""

_ORIGIN = (
    names.ORIGIN_TOPIC,
    names.ORIGIN_PARTITION,
    names.ORIGIN_OFFSET,
    names.ORIGIN_TIMESTAMP,
)
_ADDED = (names.ERROR_REASON, names.ERROR_FIELD, *_ORIGIN)
_STUB = (names.STUB_SIZE, names.STUB_SHA256)
_NOTE = (names.KIND, b"sent-again")


class Origin(NamedTuple):
    """The position of a record. The broker's timestamp tells a topic from a recreated one.

    A record may be dead-lettered twice, before and after a crash. Both have the same origin.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int

    def to_note(self) -> list[tuple[str, bytes | None]]:
        """Return the headers of a note that the record was sent again.

        A dead letter cannot be taken for a note, since it has more headers.
        """
        return [_NOTE, *_to_headers(_ORIGIN, self)]

    @classmethod
    def from_note(cls, headers: Headers) -> "Origin | None":
        """Read a note; None if the headers are of something else."""
        if tuple(name for name, _ in headers) != (names.KIND, *_ORIGIN) or headers[0] != _NOTE:
            return None
        try:
            topic, *numbers = ((value or b"").decode() for _, value in headers[1:])
            return cls(topic, *map(int, numbers))
        except ValueError:
            return None


class Stub(NamedTuple):
    """What is known of a body that was not copied: its bytes and their SHA-256 in hexadecimal."""

    size: int
    sha256: str

    @classmethod
    def unknown(cls) -> "Stub":
        """Return the stub of a batch that cannot be read: nothing is known of its bodies."""
        return cls(0, "")


@dataclass(slots=True)
class DeadLetter:
    """A record with the reason why it could not be used, the field at fault and its origin.

    ``origin_timestamp`` is in milliseconds since the Unix epoch, by the broker's clock. With a
    ``stub`` there is neither key nor value, and no header.
    """

    reason: str
    field: str | None
    origin_topic: str
    origin_partition: int
    origin_offset: int
    origin_timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    _: KW_ONLY
    stub: Stub | None = None

    FIELDS: ClassVar[FieldTable] = FieldTable(
        Field("reason", "reason", str, required=True),
        Field("field", "field", str),
        Field("origin_topic", "originTopic", str, required=True),
        Field("origin_partition", "originPartition", int, required=True),
        Field("origin_offset", "originOffset", int, required=True),
        Field("origin_timestamp", "originTimestamp", int, required=True),
        Field("key", "key", str),
        Field("value", "value", str),
        Field("headers", "headers", list, required=True),
    )

    @property
    def origin(self) -> Origin:
        """The position of the original record."""
        return Origin(
            self.origin_topic, self.origin_partition, self.origin_offset, self.origin_timestamp
        )

    @property
    def has_lost_headers(self) -> bool:
        """Whether the original record had headers that are not here."""
        return self.reason.startswith(LOST_HEADERS)

    def to_headers(self) -> list[tuple[str, bytes | None]]:
        """Return the original headers followed by the reason, the field and the origin.

        Those of a stub come last, so that no client's own headers make a stub of a dead letter.
        """
        added = (self.reason, self.field or "", *self.origin)
        stub = _to_headers(_STUB, self.stub) if self.stub else []
        return [*self.headers, *_to_headers(_ADDED, added), *stub]

    def to_stub(self) -> "DeadLetter":
        """Return what stays of a record that is too large to be copied."""
        value = self.value or b""
        return replace(
            self,
            reason=cut_text(self.reason),
            field=self.field and cut_text(self.field),
            key=None,
            value=None,
            headers=[],
            stub=Stub(len(value), hashlib.sha256(value).hexdigest()),
        )

    @classmethod
    def from_headers(cls, key: bytes | None, value: bytes | None, headers: Headers) -> "DeadLetter":
        """Read a record of the dead-letter topic.

        Raises:
            SchemaError: the headers that ``to_headers`` adds are missing or damaged.
        """
        stub = None
        if tuple(name for name, _ in headers[-len(_STUB) :]) == _STUB:
            headers, stub = headers[: -len(_STUB)], _read_stub(headers[-len(_STUB) :])
        original, added = headers[: -len(_ADDED)], headers[-len(_ADDED) :]
        if tuple(name for name, _ in added) != _ADDED:
            raise SchemaError(f"the last headers are not {', '.join(_ADDED)}")
        try:
            reason, field, topic, *numbers = ((text or b"").decode() for _, text in added)
            partition, offset, timestamp = map(int, numbers)
        except ValueError as error:
            raise SchemaError(f"the added headers are damaged: {error}") from error
        return cls(
            *(reason, field or None, topic, partition, offset, timestamp, key, value, original),
            stub=stub,
        )

    def to_json(self) -> bytes:
        """Return a JSON object with bytes in base64."""
        record = self.FIELDS.to_record(self)
        record["key"] = _to_text(self.key)
        record["value"] = _to_text(self.value)
        record["headers"] = [
            {"name": name, "value": _to_text(value)} for name, value in self.headers
        ]
        return orjson.dumps(record)

    @classmethod
    def from_json(cls, raw: bytes) -> "DeadLetter":
        """Read what ``to_json`` wrote.

        Raises:
            SchemaError: it is something else.
        """
        try:
            document = orjson.loads(raw)
            record = {name: document[name] for name in cls.FIELDS.kinds}
            record["key"] = _to_bytes(record["key"])
            record["value"] = _to_bytes(record["value"])
            record["headers"] = [
                (header["name"], _to_bytes(header["value"])) for header in record["headers"]
            ]
            return cls(*cls.FIELDS.to_arguments(record))
        except (ValueError, KeyError, TypeError) as error:
            raise SchemaError(f"is not an exported dead letter: {error!r}") from error


def _to_headers(header_names: Sequence[str], values: Sequence[object]) -> list[tuple[str, bytes]]:
    return [(name, str(value).encode()) for name, value in zip(header_names, values, strict=True)]


def _read_stub(headers: Headers) -> Stub:
    """Read the headers of a stub.

    Raises:
        SchemaError: they are damaged.
    """
    try:
        size, sha256 = ((text or b"").decode("ascii") for _, text in headers)
        return Stub(int(size), sha256)
    except ValueError as error:
        raise SchemaError(f"the headers of a stub are damaged: {error}") from error


def _to_text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _to_bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)
