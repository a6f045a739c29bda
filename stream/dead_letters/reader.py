"""Reading the dead-letter topic: dead letters, and notes of those that were sent again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from schemas.errors import SchemaError
from schemas.messages.dead_letter import LOST_HEADERS, DeadLetter, Origin
from stream.dead_letters.writer import format_origin
from stream.errors import StreamError, TopicMissing
from stream.exchange.codec import identify_sender
from stream.exchange.topics import Topics
from stream.kafka.connection import connect_admin, read_cluster_id
from stream.kafka.offsets import OffsetRange, read_ranges
from stream.kafka.range_reader import read_records
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings


class Position(NamedTuple):
    """A partition and an offset of the dead-letter topic, written ``0:41``."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Read ``0:41``.

        Raises:
            StreamError: it is something else.
        """
        partition, colon, offset = text.partition(":")
        if not (colon and partition.isdecimal() and offset.isdecimal()):
            raise StreamError(f"{text!r} is no position such as 0:41; `ioa dead-letter list`")
        return cls(int(partition), int(offset))


@dataclass(frozen=True, slots=True)
class Entry:
    """One dead letter on the topic.

    Attributes:
        written_at: milliseconds since the Unix epoch, by the broker's clock.
        dead_letter: the record and the reason.
        client_id: who sent it, where that is certain.
        message_id: its own, or that of its position; None for a stub.
        size: of the body, in bytes; for a stub, of the body that it lacks.
    """

    position: Position
    written_at: int
    dead_letter: DeadLetter
    client_id: str | None
    message_id: str | None
    size: int


@dataclass(slots=True)
class Scan:
    """All that is on the topic, without the bodies.

    Attributes:
        entries: the dead letters, oldest first within a partition.
        notes: what was sent again, by the position of the note that says so.
        damaged: why a record is neither of these, by its position.
    """

    entries: list[Entry] = field(default_factory=list)
    notes: dict[Position, Origin] = field(default_factory=dict)
    damaged: dict[Position, str] = field(default_factory=dict)

    @property
    def positions(self) -> set[Position]:
        """The positions of the dead letters."""
        return {entry.position for entry in self.entries}

    @property
    def sent_again(self) -> set[Origin]:
        """The origins of those that were sent again."""
        return set(self.notes.values())

    def select(self, *, field: str | None = None, client: str | None = None) -> list[Entry]:
        """Return the dead letters with a field at fault, of a client, or both."""
        return [
            entry
            for entry in self.entries
            if field in (None, entry.dead_letter.field) and client in (None, entry.client_id)
        ]


class DeadLetterReader:
    """Reads the dead-letter topic from its beginning to its end when this was made.

    Raises:
        KafkaUnavailable: no broker answers.
        TopicMissing: there is no such topic.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        admin = connect_admin(settings)
        topic = Topics(settings.prefix).dead_letters.name
        if topic not in admin.list_topics(timeout=10).topics:
            raise TopicMissing(f"there is no topic {topic}; `ioa topic create` makes it")
        self._cluster_id = read_cluster_id(admin)
        self._ranges = read_ranges(admin, topic)

    def scan(self) -> Scan:
        """Read everything and keep all but the bodies."""
        scan = Scan()
        for record in read_records(self._settings, self._ranges):
            position = Position(record.partition, record.offset)
            if (origin := Origin.from_note(record.headers)) is not None:
                scan.notes[position] = origin
                continue
            try:
                entry = self._decode(record)
            except SchemaError as error:
                scan.damaged[position] = str(error)
            else:
                scan.entries.append(
                    replace(entry, dead_letter=replace(entry.dead_letter, value=None))
                )
        return scan

    def read(self, positions: Sequence[Position]) -> Iterator[Entry]:
        """Yield dead letters with their bodies, at positions that ``scan`` has found."""
        wanted = set(positions)
        for record in read_records(self._settings, self._narrow(wanted)):
            if (record.partition, record.offset) in wanted:
                yield self._decode(record)

    def explain_absence(self, position: Position, scan: Scan) -> str:
        """Say why there is no dead letter at a position."""
        if (damage := scan.damaged.get(position)) is not None:
            return f"is no dead letter: {damage}"
        if (origin := scan.notes.get(position)) is not None:
            return f"notes that {format_origin(origin)} was sent again"
        kept = ", ".join(
            f"{number}:{low} to {number}:{high - 1}"
            for _, number, _, low, high in self._ranges
            if low < high
        )
        return f"is not there; the topic holds {kept or 'nothing'}"

    def _narrow(self, wanted: set[Position]) -> list[OffsetRange]:
        """Return the ranges from the first to the last wanted position of each partition."""
        narrowed = []
        for held in self._ranges:
            offsets = [offset for partition, offset in wanted if partition == held.partition]
            if offsets:
                narrowed.append(held._replace(low=min(offsets), high=max(offsets) + 1))
        return narrowed

    def _decode(self, record: Record) -> Entry:
        if record.headers_damaged:
            raise SchemaError(LOST_HEADERS)
        dead_letter = DeadLetter.from_headers(record.key, record.value, record.headers)
        stub = dead_letter.stub
        sender = identify_sender(to_record(dead_letter), self._cluster_id)
        return Entry(
            Position(record.partition, record.offset),
            record.timestamp,
            dead_letter,
            sender.client_id,
            sender.message_id if stub is None else None,  # that of a position depends on the body
            len(record.value or b"") if stub is None else stub.size,
        )


def to_record(dead_letter: DeadLetter) -> Record:
    """Return the record as it stood where it came from."""
    return Record(*dead_letter.origin, dead_letter.key, dead_letter.value, dead_letter.headers)
