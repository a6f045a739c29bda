"""A Kafka record at our border: bytes, headers and position."""

from dataclasses import dataclass, field
from operator import methodcaller

from confluent_kafka import Message as KafkaMessage

from schemas.messages import headers as names
from schemas.messages.dead_letter import Headers

# Where a name is not UTF-8, message.headers() returns a result and leaves an exception set. Python
# checks for that in calls from C, such as methodcaller's, but not in its own optimised ones.
_call_headers = methodcaller("headers")


@dataclass(slots=True)
class Record:
    """One record; ``timestamp`` is the broker's, in milliseconds since the Unix epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    headers_damaged: bool = False
    _size: int | None = field(default=None, repr=False, compare=False)
    _by_name: dict[str, bytes | None] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def from_kafka(cls, message: KafkaMessage) -> "Record":
        """Convert a message that carries no error."""
        headers: Headers | None
        try:
            headers = _call_headers(message) or []
        except (SystemError, UnicodeDecodeError):
            headers = None  # a name is not UTF-8, which confluent_kafka cannot read
        return cls(
            message.topic() or "",
            message.partition() or 0,
            message.offset() or 0,
            message.timestamp()[1],
            message.key(),
            message.value(),
            headers or [],
            headers_damaged=headers is None,
        )

    @property
    def size(self) -> int:
        """The bytes of key, body and headers, uncompressed."""
        if self._size is None:
            size = len(self.value or b"") + len(self.key or b"")
            for name, text in self.headers:  # twice as fast as a sum over them
                size += len(name) + len(text or b"")
            self._size = size
        return self._size

    @property
    def place(self) -> str:
        """Where it stands, as logs name it: ``ioa.learning[2]@41``."""
        return f"{self.topic}[{self.partition}]@{self.offset}"

    def header(self, name: str) -> str | None:
        """Return a header as text; None where it is absent or not ASCII."""
        if self._by_name is None:
            self._by_name = dict(reversed(self.headers))  # of equal names, the first counts
        value = self._by_name.get(name)
        return value.decode("ascii") if value is not None and value.isascii() else None

    @property
    def content_type(self) -> str | None:
        """The media type of the body, in lower case and without parameters such as a charset."""
        text = self.header(names.CONTENT_TYPE)
        return None if text is None else text.partition(";")[0].strip().lower()
